package socketio

import (
	"context"
	"encoding/json"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
	"weelo/internal/token"
	"weelo/transport/hub"
)

// Sessions tells whom the token of a CONNECT packet speaks for. A genuine access token that has
// expired still counts while its session lives, because the apps keep the one from their start.
// Refusals: UNAUTHORIZED, TOKEN_EXPIRED (the session is over), TOKEN_REVOKED, or Unavailable.
type Sessions interface {
	Authenticate(ctx context.Context, access string) (token.Identity, error)
}

// Receipts keeps that a numbered event was seen, for explanations to people. It does not block.
type Receipts interface {
	Seen(who token.Identity, seq int64)
}

// PushTokens keeps the token under which a phone gets push messages.
type PushTokens interface {
	Register(ctx context.Context, who token.Identity, pushToken string) error
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
