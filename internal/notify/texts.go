package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/nudge"
	"weelo/internal/phone"
)

// People finds whom a text is for: *postgres.Users, *sqlite.Users.
type People interface {
	User(ctx context.Context, id fleet.UserID) (fleet.User, error)
}

// Texts delivers text messages that are no codes, past the Dispatcher, so that codes never wait for
// them, nor for what they do to a breaker. A provider's Undecided is tried again: a text may come twice.
type Texts struct {
	Sender Sender
	People People
	Now    func() time.Time

	guard Guard
}

// Deliver hands over one message of nudge.TextChannel; see Courier.
func (t *Texts) Deliver(ctx context.Context, m ledger.Message) error {
	var text nudge.Text
	if err := json.Unmarshal(m.Body, &text); err != nil {
		return fmt.Errorf("%w: %w", ErrHopeless, err)
	}
	u, err := t.People.User(ctx, fleet.UserID(m.To))
	switch {
	case errors.Is(err, fleet.ErrNoUser):
		return nil
	case err != nil:
		return err
	}
	if !t.guard.Allow(t.Now()) {
		return ErrBreakerOpen
	}
	class, err := t.Sender.Send(ctx, SMS{To: phone.Number(u.Phone), Body: text.Body, Template: text.Template, Vars: text.Vars})
	t.guard.Record(class != Accepted && !errors.Is(err, ErrHopeless), t.Now())
	if class == Accepted {
		return nil
	}
	return fmt.Errorf("%s: %w", class, err)
}
