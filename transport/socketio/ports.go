package socketio

import (
	"context"
	"encoding/json"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
	"weelo/internal/order"
	"weelo/internal/token"
	"weelo/transport/hub"
)

// Tokens verifies the token of a CONNECT packet (token.Mint). A genuine one that expired less than
// maxAge ago still counts, because the apps keep the one from their start for as long as they run.
type Tokens interface {
	VerifyStale(access string, now time.Time, maxAge time.Duration) (token.Identity, error)
}

// Sessions tells whether a session lives, from the store (session.Keeper). It is asked about tokens
// that have expired: without a living session they are worth nothing.
type Sessions interface {
	Alive(ctx context.Context, sid string, now time.Time) (bool, error)
}

// Revocations tells whether a session was revoked lately, without I/O (session.Watch). It is asked
// about tokens that have not expired, as REST does.
type Revocations interface {
	Revoked(sid string) bool
}

// PushTokens keeps the token under which a phone gets push messages. Without it the apps are told
// that nothing was kept.
type PushTokens interface {
	Register(ctx context.Context, who token.Identity, pushToken string) error
}

// Orders gives a customer's live orders, the newest first (transport/access). Without it nothing is sent
// of them at a connect.
type Orders interface {
	LiveOrders(ctx context.Context, who token.Identity) ([]order.State, error)
}

// Observer counts what comes in. It is called on the hot path.
type Observer interface {
	In(format, kind string)      // one event that was understood; kind is of a closed set
	Refused(format, code string) // one that was not
}

type unobserved struct{}

func (unobserved) In(string, string)      {}
func (unobserved) Refused(string, string) {}

// Pending finds what a driver was offered and has not answered: the newest trip_assigned events of
// his inbox whose trips are still pending. It needs no port of its own.
type pendingReader struct {
	inbox  ledger.Inbox
	access hub.Access
}

// recentEvents is how far back the inbox is searched for an unanswered assignment. An assignment
// lives for less than a minute, so this is far more than can have come since.
const recentEvents = 100

// read gives the events of assignments that wait for an answer and do so for longer than `soon`.
func (p pendingReader) read(ctx context.Context, who token.Identity, head int64, now time.Time) ([]ledger.InboxEntry, error) {
	if head == 0 {
		return nil, nil
	}
	from := max(1, head-recentEvents+1)
	entries, err := p.inbox.Read(ctx, string(who.UserID), from, int(head-from+1))
	if err != nil {
		return nil, err
	}
	var waiting []ledger.InboxEntry
	for _, e := range entries {
		if e.Event.Type == "trip_assigned" && e.Event.Expires.Sub(now) > soon {
			waiting = append(waiting, e)
		}
	}
	if len(waiting) == 0 {
		return nil, nil
	}
	views, err := p.access.Live(ctx, who)
	if err != nil {
		return nil, err
	}
	return stillPending(waiting, views), nil
}

func stillPending(entries []ledger.InboxEntry, views []protocol.TripView) []ledger.InboxEntry {
	var out []ledger.InboxEntry
	for _, e := range entries {
		for i := range views {
			if views[i].TripID == e.Event.TripID && views[i].Status == "pending" {
				out = append(out, e)
				break
			}
		}
	}
	return out
}

// refusalMessage is the payload of CONNECT_ERROR and of the event `error`.
type refusalMessage struct {
	Message string         `json:"message"`
	Code    string         `json:"code,omitempty"`
	Data    map[string]any `json:"data,omitempty"`
}

func (m refusalMessage) json() []byte {
	body, err := json.Marshal(m)
	if err != nil {
		return []byte(`{"message":"Something went wrong"}`)
	}
	return body
}
