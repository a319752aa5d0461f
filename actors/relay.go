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
	relayPages = 16               // of relayLimit letters, in one round
	relayBusy  = 1024             // receivers served at once
	relayQueue = 1024             // letters of one receiver in memory
	relayLanes = 8192             // receivers remembered
	relayLease = 15 * time.Second // longer than letterLimit: nobody else sends it meanwhile
	relayQuery = 5 * time.Second
	relayWorst = 30 * time.Second // the longest back-off
)

// Relay sends durable messages between actors again until their receiver has committed them. The
// sender's actor sends each at once; the store hands the relay those that are older than 2 s. One
// per task.
//
// Letters to one actor go one after the other, in their order; different actors' at once. A receiver
// that does not take its letters holds up its own only: the first that fails gives the others back to
// come again behind it, and no round waits for anybody. One that is quarantined holds up none: it comes
// again by itself, until operators release or discard it.
type Relay struct {
	Outbox ledger.Outbox
	Router Router
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger

	work sync.WaitGroup
	mu   sync.Mutex
	busy int              // goroutines; at most relayBusy
	lane map[string]*lane // by receiver: who is sent to or has failed lately; at most relayLanes
}

// lane is what the relay knows of one receiver.
type lane struct {
	sending bool
	queue   []leased  // behind the one that is being sent; at most relayQueue
	until   time.Time // nothing is sent to it before
	parked  int       // given back since, each a microsecond behind the one before
}

// leased is a letter and when somebody else may take it.
type leased struct {
	ledger.Pending
	until time.Time
}

// Run relays every second until ctx ends, and ends with the last letter that is on its way.
func (r *Relay) Run(ctx context.Context) error {
	r.lane = make(map[string]*lane)
	defer r.work.Wait()
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

// round takes what is due, page after page, and has it sent or given back.
func (r *Relay) round(ctx context.Context) {
	r.forget()
	for range relayPages {
		if r.full() {
			return
		}
		until := r.now().Add(relayLease)
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
		for to, letters := range byReceiver { // at most relayLimit of them
			r.serve(ctx, to, letters, until)
		}
		if len(pending) < relayLimit {
			return
		}
	}
}

// forget drops the lanes of those who may be tried again.
func (r *Relay) forget() {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for to, l := range r.lane {
		if !l.sending && !now.Before(l.until) {
			delete(r.lane, to)
		}
	}
}

func (r *Relay) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.busy+relayLimit > relayBusy || len(r.lane)+relayLimit > relayLanes
}

// serve has letters of one receiver sent: by whoever sends to it already, behind what he has, or by a
// goroutine of their own; or given back when it is not its time.
func (r *Relay) serve(ctx context.Context, to string, letters []ledger.Pending, until time.Time) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lane[to]
	if l == nil {
		l = &lane{}
		r.lane[to] = l
	}
	full := len(l.queue)+len(letters) > relayQueue
	if full && l.until.Before(now.Add(relayEvery)) {
		l.until, l.parked = now.Add(relayEvery), 0
	}
	do := func() { r.send(ctx, l) }
	if full || !l.sending && now.Before(l.until) {
		at := l.placesLocked(len(letters))
		do = func() { r.park(ctx, letters, at) }
	} else {
		for _, p := range letters {
			l.queue = append(l.queue, leased{p, until})
		}
		if l.sending {
			return
		}
		l.sending = true
	}
	r.busy++
	r.work.Go(func() {
		do()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.busy--
	})
}

// send delivers a lane's letters in their order, up to the first that fails. One that could outlive its
// lease is not begun: somebody else may take it meanwhile.
func (r *Relay) send(ctx context.Context, l *lane) {
	for {
		p, ok := r.next(l)
		if !ok {
			return
		}
		now := r.now()
		if now.Add(letterLimit).After(p.until) {
			r.stop(ctx, l, p.Pending, now)
			return
		}
		if !p.Deadline.IsZero() && now.After(p.Deadline) {
			r.Log.ErrorContext(ctx, "durable message given up at its deadline", "to", p.To, "type", p.Type, "id", p.ID)
			r.cross(ctx, p.ID)
			continue
		}
		once, cancel := context.WithTimeout(ctx, letterLimit)
		err := deliver(once, r.Router, p.Message)
		cancel()
		if err == nil {
			r.cross(ctx, p.ID)
			continue
		}
		if errors.Is(err, ErrPoisoned) {
			r.Log.WarnContext(ctx, "durable message is quarantined", "to", p.To, "type", p.Type, "id", p.ID, "again_in", relayWorst)
			r.park(ctx, []ledger.Pending{p.Pending}, r.now().Add(relayWorst))
			continue
		}
		if errors.Is(err, ErrQuarantined) { // its actor is out, which operators know: all of its letters wait
			r.Log.InfoContext(ctx, "durable message waits for an actor that is out", "to", p.To, "type", p.Type, "id", p.ID, "again_in", relayWorst)
			r.stop(ctx, l, p.Pending, r.now().Add(relayWorst))
			return
		}
		wait := backoff(p.Attempts)
		r.Log.WarnContext(ctx, "durable message not delivered yet", "to", p.To, "type", p.Type, "id", p.ID, "attempt", p.Attempts+1,
			"again_in", wait, "error", err)
		r.stop(ctx, l, p.Pending, r.now().Add(wait)) // from the end of the attempt, which may have lasted as long
		return
	}
}

// next takes the first of a lane's letters; without any, nobody sends to it any longer.
func (r *Relay) next(l *lane) (leased, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(l.queue) == 0 {
		l.sending, l.queue = false, nil
		return leased{}, false
	}
	p := l.queue[0]
	l.queue = l.queue[1:]
	return p, true
}

// stop sends a receiver nothing before a time and gives its letters back until then, in their order.
func (r *Relay) stop(ctx context.Context, l *lane, first ledger.Pending, until time.Time) {
	r.mu.Lock()
	letters := []ledger.Pending{first}
	for _, p := range l.queue {
		letters = append(letters, p.Pending)
	}
	l.sending, l.queue, l.until, l.parked = false, nil, until, 0
	at := l.placesLocked(len(letters))
	r.mu.Unlock()
	r.park(ctx, letters, at)
}

// placesLocked keeps so many places in a lane's line and gives the time of the first.
func (l *lane) placesLocked(count int) time.Time {
	at := l.until.Add(time.Duration(l.parked) * time.Microsecond)
	l.parked += count
	return at
}

// park gives letters back, each a microsecond behind the one before: their order when they are due.
func (r *Relay) park(ctx context.Context, letters []ledger.Pending, at time.Time) {
	for i, p := range letters {
		if err := r.Outbox.Later(ctx, p.ID, at.Add(time.Duration(i)*time.Microsecond)); err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "durable message not given back; its lease will run out", "id", p.ID, "error", err)
		}
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
