package actors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/ledger"
	"weelo/store/sqlite"
)

// The toy aggregate keeps the ids of what was added to it, so that a lost or doubled effect shows.
type toy struct {
	Ops     []string `json:"ops"`
	Rings   int      `json:"rings"`
	Letters []string `json:"letters"`
	Bell    int64    `json:"bell"` // number of the armed timer
}

// Commands of the toy. A key makes an add repeatable.
type (
	add  struct{ id, key, hash string }
	arm  struct{ wait time.Duration }
	send struct{ id, to string }
	bomb struct{ id string } // panics while it is decided
	get  struct{}
)

func (a add) CommandID() string  { return a.key }
func (b bomb) CommandID() string { return b.id }

type toyReply struct {
	Ops     int   `json:"ops"`
	Version int64 `json:"version"`
}

type toyBehaviour struct {
	id        string
	committed chan<- actors.Committed
}

func (b toyBehaviour) Load(snapshot json.RawMessage) (toy, error) {
	var s toy
	return s, json.Unmarshal(snapshot, &s)
}

func (b toyBehaviour) Request(msg any) (actors.Request, bool) {
	switch m := msg.(type) {
	case add:
		return actors.Request{Do: m, Scope: "somebody", Key: m.key, Hash: m.hash}, true
	case *protocol.Letter:
		return actors.Request{Do: m, Scope: "trip/" + b.id, Key: m.ID}, true
	case arm, send, bomb:
		return actors.Request{Do: m}, true
	default:
		return actors.Request{}, false
	}
}

var errNotToday = fault.New(fault.FailedPrecondition, "NOT_TODAY", "Not today.")

func (b toyBehaviour) Decide(s toy, command any, now time.Time) (actors.Step[toy], error) {
	t := &ledger.Transition{}
	switch c := command.(type) {
	case add:
		if c.id == "refused" {
			return actors.Step[toy]{}, errNotToday
		}
		if c.id == "nothing" {
			return actors.Step[toy]{Replayed: true}, nil
		}
		s.Ops = append(s.Ops[:len(s.Ops):len(s.Ops)], c.id)
		t.Events = []ledger.Event{{ID: c.id, Type: "added", PayloadVersion: 1, At: now, Data: json.RawMessage(`{}`), Recipients: []string{"watcher"}}}
	case arm:
		s.Bell++
		t.Timers = []ledger.TimerChange{{Name: "bell", Due: now.Add(c.wait), Number: s.Bell}}
	case protocol.TimerDue:
		s.Rings++
		t.Timers = []ledger.TimerChange{{Name: c.Name, Number: c.Number}}
	case send:
		t.Outbox = []ledger.Message{{ID: c.id, Channel: "actor", To: c.to, Type: "hello", Body: json.RawMessage(`{}`)}}
	case *protocol.Letter:
		s.Letters = append(s.Letters[:len(s.Letters):len(s.Letters)], c.ID)
	case bomb:
		panic("planted in Decide")
	}
	var err error
	t.State, err = json.Marshal(s)
	return actors.Step[toy]{Transition: t, State: s}, err
}

func (b toyBehaviour) Answer(s toy, version int64, _ bool) any {
	return toyReply{Ops: len(s.Ops), Version: version}
}

func (b toyBehaviour) Encode(answer any) (json.RawMessage, error) { return json.Marshal(answer) }

func (b toyBehaviour) Decode(kept json.RawMessage) (any, error) {
	var r toyReply
	return r, json.Unmarshal(kept, &r)
}

func (b toyBehaviour) Soft(_ context.Context, d *actors.Durable[toy], msg any, reply actors.Reply) {
	if _, ok := msg.(get); ok {
		reply.Answer(d.State())
	}
}

func (b toyBehaviour) Loaded(context.Context, *actors.Durable[toy]) {}

func (b toyBehaviour) Committed(_ context.Context, _ *actors.Durable[toy], _ toy, done actors.Committed) {
	if b.committed != nil {
		b.committed <- done
	}
}

// toys is the kind of toys over a ledger.
func toys(l actors.Ledger, committed chan<- actors.Committed) actors.Kind {
	return actors.Kind{
		Name: "trip", Queue: 256, Idle: time.Minute, MaxLive: 1000,
		New: func(ctx context.Context, self *actors.Self) (actors.Actor, error) {
			ref := ledger.Ref{Kind: ledger.Trip, ID: self.ID()}
			return actors.NewDurable(ctx, self, ref, l, toyBehaviour{self.ID(), committed})
		},
	}
}

func ports(l *actortest.Ledger) actors.Ledger {
	return actors.Ledger{Writer: l, Joint: l, Claimer: l, Outbox: l, Replies: l}
}

// born puts a toy into the ledger.
func born(l *actortest.Ledger, id string) actors.Address {
	o := l.Commit(context.Background(), []ledger.Transition{{
		Ref: ledger.Ref{Kind: ledger.Trip, ID: id}, State: json.RawMessage(`{}`), At: time.Now(),
	}})
	if o[0].Status != ledger.Committed {
		panic(fmt.Sprint("toy not born: ", o[0]))
	}
	return actors.Address{Kind: "trip", ID: id}
}

// unsent takes what is left in the outbox.
func unsent(t interface{ Fatal(args ...any) }, l *actortest.Ledger) int {
	left, err := l.Take(context.Background(), []string{"actor"}, time.Now().Add(24*time.Hour), time.Minute, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(left)
}

// each runs a test in a bubble on every store that can live in one.
func each(t *testing.T, run func(t *testing.T, l *actortest.Ledger)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) *actortest.Ledger{
		"memory": func(*testing.T) *actortest.Ledger { return actortest.TripLedger() },
		"sqlite": sqliteLedger,
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) { run(t, open(t)) })
		})
	}
}

// in runs a test in a bubble, in parallel with others.
func in(t *testing.T, run func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, run)
}

func sqliteLedger(t *testing.T) *actortest.Ledger {
	t.Helper()
	l, _ := sqliteStore(t)
	return l
}

// sqliteStore is the store of weelo dev, in memory.
func sqliteStore(t *testing.T) (*actortest.Ledger, *sqlite.DB) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	writer := sqlite.NewWriter(db, sqlite.Options{})
	return actortest.Over(actortest.Backend{
		Writer: writer, JointWriter: writer, Claimer: sqlite.NewClaimer(db), Timers: sqlite.NewTimers(db),
		Outbox: sqlite.NewOutbox(db), Inbox: sqlite.NewInbox(db), Replies: sqlite.NewReplies(db),
		Row: func(ref ledger.Ref) (c ledger.Claimed, ok bool) {
			err := db.Read.QueryRowContext(context.Background(), `SELECT version, owner_epoch, state FROM trip WHERE id = ?`, ref.ID).
				Scan(&c.Version, &c.Epoch, (*[]byte)(&c.State))
			return c, err == nil
		},
	}), db
}
