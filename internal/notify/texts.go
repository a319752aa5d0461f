package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/nudge"
	"weelo/internal/phone"
)

// People finds whom a text is for: *postgres.Users, *sqlite.Users.
type People interface {
	User(ctx context.Context, id fleet.UserID) (fleet.User, error)
}

// Texts delivers text messages that are no codes, past the Dispatcher and by Routes of their own, so
// that codes never wait for them, nor for what they do to a breaker. A provider's Undecided is tried
// again: a text may come twice.
type Texts struct {
	Sender Sender // Routes
	People People
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
	s, ok := Notice(phone.Number(u.Phone), text.Template, text.Vars)
	if !ok {
		return fmt.Errorf("%q: %w", text.Template, ErrTemplate)
	}
	class, err := t.Sender.Send(ctx, s)
	if class == Accepted {
		return nil
	}
	return fmt.Errorf("%s: %w", class, err)
}
