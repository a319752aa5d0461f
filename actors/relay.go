package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/ledger"
)

const (
	actorChannel = "actor"
	// letterLimit bounds one delivery of a durable message, its receiver's commit included.
	letterLimit = 10 * time.Second
	// relayAfter is how long the sender's own attempt is given.
	relayAfter = 2 * time.Second
	relayEvery = time.Second
	relayLimit = 64
	relayLease = 15 * time.Second // longer than letterLimit: nobody else sends it meanwhile
	relayQuery = 5 * time.Second
	relayWorst = 30 * time.Second // the longest back-off
)

// Relay sends durable messages between actors again until their receiver has committed them. The
// sender's actor sends each at once; the store hands the relay those that are older than 2 s. One
// per task.
type Relay struct {
	Outbox ledger.Outbox
	Router Router
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger
}

// Run relays every second until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	tick := time.NewTicker(relayEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.round(ctx)
		}
	}
}

func (r *Relay) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

// round takes what is due and sends it: letters to one actor one after the other, so that they keep
// their order, different actors at once, so that a stuck one holds up nobody else.
func (r *Relay) round(ctx context.Context) {
	query, cancel := context.WithTimeout(ctx, relayQuery)
	pending, err := r.Outbox.Take(query, []string{actorChannel}, r.now(), relayLease, relayLimit)
	cancel()
	if err != nil {
		if ctx.Err() == nil {
			r.Log.WarnContext(ctx, "outbox not read", "error", err)
		}
		return
	}
	byReceiver := make(map[string][]ledger.Pending)
	for _, p := range pending {
		byReceiver[p.To] = append(byReceiver[p.To], p)
	}
	var all sync.WaitGroup
	for _, letters := range byReceiver { // at most relayLimit of them
		all.Go(func() {
			for _, p := range letters {
				r.send(ctx, p)
			}
		})
	}
	all.Wait()
}

func (r *Relay) send(ctx context.Context, p ledger.Pending) {
	now := r.now()
	if !p.Deadline.IsZero() && now.After(p.Deadline) {
		r.Log.ErrorContext(ctx, "durable message given up at its deadline", "to", p.To, "type", p.Type, "id", p.ID)
		r.cross(ctx, p.ID)
		return
	}
	once, cancel := context.WithTimeout(ctx, letterLimit)
	defer cancel()
	err := deliver(once, r.Router, p.Message)
	if err == nil {
		r.cross(ctx, p.ID)
		return
	}
	wait := backoff(p.Attempts)
	r.Log.WarnContext(ctx, "durable message not delivered yet", "to", p.To, "type", p.Type, "id", p.ID, "attempt", p.Attempts+1, "again_in", wait, "error", err)
	if err := r.Outbox.Later(ctx, p.ID, now.Add(wait)); err != nil && ctx.Err() == nil {
		r.Log.WarnContext(ctx, "durable message not given back; its lease will run out", "id", p.ID, "error", err)
	}
}

func (r *Relay) cross(ctx context.Context, id string) {
	if err := r.Outbox.Done(ctx, id); err != nil && ctx.Err() == nil {
		r.Log.WarnContext(ctx, "durable message not crossed off; it will be sent again", "id", id, "error", err)
	}
}

// backoff doubles from one second to half a minute.
func backoff(attempts int) time.Duration {
	return min(relayWorst, time.Second<<min(attempts, 10))
}

// deliver sends one durable message and waits until its receiver has committed it. A receiver that
// refuses for good has decided: the message is consumed.
func deliver(ctx context.Context, router Router, m ledger.Message) error {
	kind, id, ok := strings.Cut(m.To, "/")
	if !ok {
		return fmt.Errorf("actors: durable message %s to %q, which is no address", m.ID, m.To)
	}
	_, err := router.Ask(ctx, Address{Kind: kind, ID: id}, &protocol.Letter{ID: m.ID, Type: m.Type, Body: m.Body})
	var refusal *fault.Error
	if errors.As(err, &refusal) && final(refusal.Code) {
		return nil
	}
	return err
}

// final tells whether a refusal will be the same next time.
func final(c fault.Code) bool {
	switch c {
	case fault.FailedPrecondition, fault.Conflict, fault.InvalidArgument, fault.PermissionDenied:
		return true
	default: // Unavailable, Internal, NotFound (its kind may come with the next release), …
		return false
	}
}
