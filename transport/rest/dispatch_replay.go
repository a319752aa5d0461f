package rest

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/order"
)

// replayWindow is how far back a replay reaches (contract §1.4).
const replayWindow = 30 * time.Minute

func (d Orders) registerReplay(a *API) {
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/transporter/dispatch/replay", Name: "replay-dispatch", Tag: "broadcasts",
		Roles: []fleet.Role{fleet.Transporter}, Summary: "The open offers that the caller was made after a moment, oldest first"}, d.replay)
}

type replayInput struct {
	Cursor int64 `query:"cursor" minimum:"0" doc:"Unix ms, of the answer before; 0: from the window's start"`
	Limit  int   `query:"limit" minimum:"1" maximum:"100" default:"50"`
}

// ReplayData is what a transporter may have missed. An offer that is closed by now is not repeated.
type ReplayData struct {
	Cursor           int64             `json:"cursor"`
	SnapshotRequired bool              `json:"snapshotRequired" doc:"The cursor is older than the window: read the feed"`
	HasMore          bool              `json:"hasMore"`
	WindowStart      int64             `json:"replayWindowStart"`
	WindowEnd        int64             `json:"replayWindowEnd"`
	CursorType       string            `json:"cursorType"`
	Events           []ReplayEventData `json:"events" nullable:"false"`
}

// ReplayEventData is one offer.
type ReplayEventData struct {
	Sequence    int64         `json:"sequence" doc:"Unix ms of the offer"`
	OrderID     string        `json:"orderId"`
	Revision    int64         `json:"dispatchRevision"`
	Lifecycle   int64         `json:"orderLifecycleVersion"`
	EventType   string        `json:"eventType"`
	ExpiresAtMS int64         `json:"expiresAtMs"`
	CreatedAt   Timestamp     `json:"createdAt"`
	Payload     BroadcastData `json:"payload"`
}

func (d Orders) replay(ctx context.Context, in *replayInput) (ReplayData, error) {
	now := d.Now()
	start := now.Add(-replayWindow).UnixMilli()
	data := ReplayData{
		Cursor: in.Cursor, SnapshotRequired: in.Cursor != 0 && in.Cursor < start, WindowStart: start, WindowEnd: now.UnixMilli(),
		CursorType: "timestamp_ms", Events: []ReplayEventData{},
	}
	if d.tooSoon(ctx) {
		return data, nil // the app asks again with the same cursor; a refusal would only alarm it
	}
	offered, err := d.offered(ctx, now)
	if err != nil {
		return ReplayData{}, err
	}
	data.Events, data.HasMore = d.missed(offered, Caller(ctx).UserID, max(in.Cursor, start), in.Limit)
	if n := len(data.Events); n > 0 {
		data.Cursor = data.Events[n-1].Sequence
	}
	return data, nil
}

// missed picks the offers made after a moment. Those of one millisecond stay together, because the
// cursor cannot tell them apart.
func (d Orders) missed(offered []order.State, user fleet.UserID, after int64, limit int) (events []ReplayEventData, more bool) {
	events = []ReplayEventData{}
	for _, s := range offered {
		o := s.OfferedTo(user)
		data, ok := d.broadcastData(s, user)
		if !ok || o.Closed || o.AtMS <= after {
			continue
		}
		events = append(events, ReplayEventData{
			Sequence: o.AtMS, OrderID: s.ID, Revision: s.Revision, Lifecycle: s.Count, EventType: "broadcast_created",
			ExpiresAtMS: s.ExpiresMS, CreatedAt: AtMS(o.AtMS), Payload: data,
		})
	}
	slices.SortFunc(events, func(a, b ReplayEventData) int {
		return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.OrderID, b.OrderID))
	})
	n := limit
	for n > 0 && n < len(events) && events[n].Sequence == events[n-1].Sequence {
		n++
	}
	if n < len(events) {
		return events[:n], true
	}
	return events, false
}

func (d Orders) tooSoon(ctx context.Context) bool {
	if d.Limits == nil {
		return false
	}
	wait, err := d.Limits.Take(ctx, allowed.Replay, string(Caller(ctx).UserID))
	if err != nil {
		d.Log.WarnContext(ctx, "limit not counted", "limit", allowed.Replay.Name, "error", err)
		return false
	}
	return wait > 0
}
