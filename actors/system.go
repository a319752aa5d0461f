package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"weelo/internal/ledger"
	"weelo/internal/panics"
)

// Config is what a System needs. Only Node is required.
type Config struct {
	Node       string            // this task's name, as Owner tells it and claims record it
	Log        *slog.Logger      // nil: nothing is logged
	Tracer     trace.Tracer      // nil: no spans
	Observer   Observer          // nil: nothing is observed
	Quarantine ledger.Quarantine // keeps strikes over a restart; nil: this task alone remembers them
	// MaxPanics is how often an actor may break within ledger.PanicWindow before it is taken out; 0:
	// ledger.PanicsOut.
	MaxPanics int
}

// System runs the actors of one task. It is the local Router.
//
// It keeps the activation table: at most one activation of an address is starting, active or
// stopping at any moment, and whoever sends to one that is not active waits in its bounded queue.
// A message that was accepted reaches an activation or is counted as a dead letter; none is lost
// between two activations.
type System struct {
	node       string
	log        *slog.Logger
	tracer     trace.Tracer
	observer   Observer
	quarantine ledger.Quarantine

	engine *actor.ActorSystem
	base   context.Context // of every message that has no trace; ends with Close
	cancel context.CancelFunc
	kinds  map[string]*kind // fixed after Start
	table  table
	struck strikes
	work   inflight    // starts and I/O of actors in flight
	closed atomic.Bool // no new activations
}

// kind is a registered Kind with its counters.
type kind struct {
	Kind
	live   atomic.Int64
	starts chan struct{} // bounds concurrent New
}

var _ Router = (*System)(nil)

// NewSystem makes a System that knows these kinds. It answers messages at once; Run must run too,
// so that idle actors leave memory.
func NewSystem(c Config, kinds ...Kind) (*System, error) {
	s := &System{
		node: c.Node, log: c.Log, tracer: c.Tracer, observer: c.Observer, quarantine: c.Quarantine,
		kinds: make(map[string]*kind, len(kinds)),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.tracer == nil {
		s.tracer = noop.NewTracerProvider().Tracer("weelo/actors")
	}
	if s.observer == nil {
		s.observer = Silent{}
	}
	var problems []error
	if c.Node == "" {
		problems = append(problems, errors.New("actors: a system needs the node's name"))
	}
	for _, k := range kinds {
		problems = append(problems, k.validate())
		if _, twice := s.kinds[k.Name]; twice {
			problems = append(problems, fmt.Errorf("actors: kind %s is registered twice", k.Name))
		}
		s.kinds[k.Name] = &kind{Kind: k, starts: make(chan struct{}, max(k.MaxStarts, 1))}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	s.struck.recent = panics.Memory[Address]{Most: cmp.Or(c.MaxPanics, ledger.PanicsOut), Window: ledger.PanicWindow, Keep: maxStrikes}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.table.init()
	s.engine = newEngine(s.log)
	s.engine.EventStream.Subscribe(s.onEngineEvent)
	return s, nil
}

// Owner is always this task.
func (s *System) Owner(Address) (string, bool) { return s.node, true }

// Tell implements Router.
func (s *System) Tell(ctx context.Context, to Address, msg any) error {
	if span := tracedBy(ctx); span.IsValid() {
		return s.send(to, &envelope{msg: msg, span: span})
	}
	return s.send(to, msg)
}

// Ask implements Router.
func (s *System) Ask(ctx context.Context, to Address, msg any) (any, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, AskTimeout)
		defer cancel()
	}
	for try := 1; ; try++ {
		value, err := s.askOnce(ctx, to, msg)
		if try == askTries || !errors.Is(err, notTried) {
			return value, err
		}
	}
}

func (s *System) askOnce(ctx context.Context, to Address, msg any) (any, error) {
	deadline, _ := ctx.Deadline()
	env := &envelope{msg: msg, span: tracedBy(ctx), answer: make(chan answer, 1), deadline: deadline}
	if err := s.send(to, env); err != nil {
		return nil, err
	}
	select {
	case a := <-env.answer:
		return a.value, a.err
	case <-ctx.Done():
		return nil, ErrNoAnswer.Because(context.Cause(ctx))
	}
}

// send finds or makes the activation and gives it the message. One that it makes begins with the message in
// hand: however soon it fails, whoever asked is told so.
func (s *System) send(to Address, wrapped any) error {
	for {
		if s.struck.any() {
			msg, _, _ := open(wrapped)
			if refusal := s.struck.refusal(to, msg, time.Now()); refusal != nil {
				s.observer.Refused(to.Kind, refusal.Reason)
				return refusal
			}
		}
		a, made, err := s.find(to)
		if err != nil {
			return err
		}
		err = a.accept(wrapped)
		if made {
			a.begin(wrapped)
		}
		if errors.Is(err, errGone) {
			continue // it left the table between find and accept
		}
		if err != nil {
			s.observer.Refused(to.Kind, "BUSY")
		}
		return err
	}
}

// find returns the activation of an address, making it when there is none. Whoever has made it begins it.
func (s *System) find(to Address) (a *activation, made bool, err error) {
	if a := s.table.get(to); a != nil {
		return a, false, nil
	}
	k, ok := s.kinds[to.Kind]
	if !ok {
		return nil, false, errUnknownKind.Because(fmt.Errorf("no actors of kind %q", to.Kind))
	}
	if s.closed.Load() {
		s.observer.Refused(to.Kind, ErrShuttingDown.Reason)
		return nil, false, ErrShuttingDown
	}
	if k.live.Load() >= int64(k.MaxLive) {
		s.observer.Refused(to.Kind, "MAX_LIVE")
		return nil, false, ErrBusy
	}
	a, made = s.table.getOrPut(to, func() *activation { return newActivation(s, k, to) })
	if made {
		k.live.Add(1)
	}
	return a, made, nil
}

// Live is how many actors of a kind are in memory.
func (s *System) Live(kindName string) int {
	if k, ok := s.kinds[kindName]; ok {
		return int(k.live.Load())
	}
	return 0
}

// Close drains and ends the engine. Nothing may be sent afterwards.
func (s *System) Close(ctx context.Context) error {
	err := s.Drain(ctx)
	s.cancel()
	s.engine.Shutdown()
	return err
}

// shards is how many parts the activation table has, so that senders seldom meet.
const shards = 64

type table struct {
	seed  maphash.Seed
	parts [shards]struct {
		sync.RWMutex
		of map[Address]*activation
	}
}

func (t *table) init() {
	t.seed = maphash.MakeSeed()
	for i := range t.parts {
		t.parts[i].of = make(map[Address]*activation)
	}
}

func (t *table) part(to Address) int { return int(maphash.String(t.seed, to.ID) % shards) }

func (t *table) get(to Address) *activation {
	p := &t.parts[t.part(to)]
	p.RLock()
	defer p.RUnlock()
	return p.of[to]
}

func (t *table) getOrPut(to Address, make func() *activation) (a *activation, made bool) {
	p := &t.parts[t.part(to)]
	p.Lock()
	defer p.Unlock()
	if a, ok := p.of[to]; ok {
		return a, false
	}
	a = make()
	p.of[to] = a
	return a, true
}

func (t *table) remove(to Address) {
	p := &t.parts[t.part(to)]
	p.Lock()
	defer p.Unlock()
	delete(p.of, to)
}

// snapshot is every activation at some moment of one part after the other.
func (t *table) snapshot() []*activation {
	var all []*activation
	for i := range t.parts {
		p := &t.parts[i]
		p.RLock()
		for _, a := range p.of {
			all = append(all, a)
		}
		p.RUnlock()
	}
	return all
}
