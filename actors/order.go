package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
)

// OrderMatcher finds whom an order could be shown to. The implementation is fleet.Matcher.
type OrderMatcher interface {
	// Candidates gives the table of a wave, ranked; those without Skipped are to be shown the order.
	Candidates(ctx context.Context, w fleet.Wanted) ([]fleet.Candidate, error)
}

// CrewReader reads the vehicles and drivers of a confirmation. It is a part of fleet.Supply.
type CrewReader interface {
	Crew(ctx context.Context, vehicles []fleet.VehicleID, drivers []fleet.UserID) (fleet.Crew, error)
}

// OrderTrips reads the rows of an order's trips.
type OrderTrips interface {
	// TripRows gives trips with the version and epoch their rows stand at, in no order; unknown ones are
	// missing.
	TripRows(ctx context.Context, ids []string) ([]order.TripRow, error)
}

// OrderObserver counts what becomes of orders.
type OrderObserver interface {
	// Order: one came into a status.
	Order(status string)
	// Wave: one was sent, to so many of those that were looked at.
	Wave(candidates, notified int)
	// Offers: so many were shown, changed or closed.
	Offers(change string, n int)
	// Hold and Confirm: one came about, ended, or was refused with that reason.
	Hold(outcome string)
	Confirm(outcome string)
	// Filled: the first truck, or all of them, were accepted so long after the search began.
	Filled(all bool, took time.Duration)
}

// AnswerKeeper keeps what transporters made of offers, for explanations: OfferReceipts.
type AnswerKeeper interface {
	Answered(user fleet.UserID, offerID, answer string, at time.Time)
}

// OrderConfig is what the actors of orders need. Receipts and Observer may be nil.
type OrderConfig struct {
	Ledger    Ledger
	Publisher protocol.Publisher
	Policy    order.Policy
	Matcher   OrderMatcher
	Crew      CrewReader
	Trips     OrderTrips
	Users     Users
	Presence  PresenceReader // of drivers, for confirmations
	Searching *Searching
	Receipts  AnswerKeeper
	Observer  OrderObserver
	Watcher   OrderWatcher // nil: nobody watches
	// MaxLive bounds the orders in memory; 0 is 50,000.
	MaxLive int
}

// OrderWatcher is told how orders stand, after each commit. It is called on the order's turn and must
// not block.
type OrderWatcher interface {
	OrderChanged(v protocol.OrderView)
}

// OrderActors is the kind of orders: a fenced row, the timers of its waves, holds and search, and the
// transactions that give birth to trips and end them.
//
// An order that has ended leaves memory one minute after its last message; a live one stays as trips do.
func OrderActors(c OrderConfig) Kind {
	if c.MaxLive == 0 {
		c.MaxLive = 50_000
	}
	if c.Observer == nil {
		c.Observer = SilentOrders{}
	}
	return Kind{
		Name: protocol.KindOrder, Queue: 256, Idle: time.Minute, MaxLive: c.MaxLive,
		New: func(ctx context.Context, self *Self) (Actor, error) {
			b := &orderActor{cfg: &c, self: self, id: self.ID()}
			d, err := NewDurable(ctx, self, ledger.Ref{Kind: ledger.Order, ID: self.ID()}, c.Ledger, b)
			if errors.Is(err, ErrNotFound) {
				return nil, order.ErrNotFound
			}
			if err != nil {
				return nil, err
			}
			return d, nil
		},
	}
}

// orderActor is the behaviour of one order in the durable shell. What it says is decided by
// internal/order.
type orderActor struct {
	cfg  *OrderConfig
	self *Self
	id   string
	late lateComers
}

var (
	_ Behaviour[order.State] = (*orderActor)(nil)
	_ stayer[order.State]    = (*orderActor)(nil)
	_ preparer[order.State]  = (*orderActor)(nil)
	_ refuser                = (*orderActor)(nil)
)

// orders is the shell of an order.
type orders = Durable[order.State]

// Load implements Behaviour.
func (*orderActor) Load(snapshot json.RawMessage) (order.State, error) { return order.Load(snapshot) }

// Request implements Behaviour.
func (a *orderActor) Request(msg any) (Request, bool) {
	switch m := msg.(type) {
	case *protocol.OrderCommand:
		r := Request{Do: m.Do, Scope: string(m.By.User), Key: m.Key, Hash: m.Hash}
		if r.Key != "" {
			r.Hash = a.id + " " + order.CommandName(m.Do) + " " + m.Hash // a key is for one command of one order
		}
		return r, true
	case *protocol.Letter:
		notice := order.TripNotice{LetterID: m.ID, Type: m.Type}
		if err := json.Unmarshal(m.Body, &notice.Notice); err != nil {
			notice.Type = "unreadable " + m.Type // recorded as one that is of no use
		}
		return Request{Do: notice}, true // the shell knows the key of a letter
	default:
		return Request{}, false
	}
}

// Decide implements Behaviour.
func (a *orderActor) Decide(s order.State, command any, now time.Time) (Step[order.State], error) {
	c, ok := command.(order.Command)
	if due, fired := command.(protocol.TimerDue); fired {
		c, ok = order.TimerFired{Name: due.Name, Number: due.Number}, true
	}
	if _, late := command.(order.Offer); late {
		a.self.Tell(lateDone{}) // the next one may come
	}
	if !ok {
		return Step[order.State]{}, fmt.Errorf("actors: an order has no command %T", command)
	}
	d, err := order.Decide(s, c, now, a.cfg.Policy)
	if errors.Is(err, order.ErrTripsNeeded) {
		return Step[order.State]{}, ErrBusy.Because(err) // a trip was born while they were read
	}
	if err != nil {
		return Step[order.State]{}, err
	}
	return orderStep(d)
}

// orderStep is the decision as the shell writes it: the order's own transition, and those of the trips
// it gives birth to or ends.
func orderStep(d order.Decision) (Step[order.State], error) {
	step := Step[order.State]{State: d.State, Replayed: d.Replayed}
	t, write, err := d.Transition(0, 0) // the shell knows version and epoch
	if err != nil || !write {
		return step, err
	}
	step.Transition = &t
	step.With, err = d.With()
	for i := range step.With {
		foldAfterwards(&step.With[i], d.Cancels)
	}
	return step, err
}

// foldAfterwards arms the last fold of the track of a trip that the step ends, as its own actor would.
func foldAfterwards(t *ledger.Transition, cancels []order.TripStep) {
	for _, c := range cancels {
		if s := c.Decision.State; s.ID == t.Ref.ID && s.AcceptedMS != 0 {
			t.Timers = append(t.Timers, ledger.TimerChange{Name: trackTimer, Due: t.At.Add(foldSettle), Number: s.Count})
		}
	}
}

// Refused implements refuser: the indexes have the last word about a confirmation.
func (*orderActor) Refused(command any, index int, constraint string) error {
	if index < 0 && constraint == searchingOrder {
		return order.ErrActiveOrder("") // which, the façade finds out
	}
	c, ok := command.(order.Confirm)
	if !ok || index < 0 || index >= len(c.Picks) {
		return nil
	}
	reason := order.PickVehicleBusy
	switch constraint {
	case liveTripPerDriver:
		reason = order.PickDriverBusy
	case liveTripPerVehicle:
	default:
		return order.ErrTrucksChanged
	}
	return order.ErrConfirm.With("failedAssignments", []order.FailedPick{{VehicleID: c.Picks[index].VehicleID, Reason: reason}})
}

// Answer implements Behaviour.
func (*orderActor) Answer(s order.State, version int64, replayed bool) any {
	return &protocol.OrderReply{State: s, Version: version, Replayed: replayed}
}

// Encode implements Behaviour. Everybody who was shown the order is of no use in a kept answer, and by
// far its largest part.
func (*orderActor) Encode(answer any) (json.RawMessage, error) {
	r := *answer.(*protocol.OrderReply)
	r.State.Offered = nil
	return json.Marshal(r)
}

// Decode implements Behaviour.
func (*orderActor) Decode(kept json.RawMessage) (any, error) { return keptOrder(kept) }

// keptOrder reads the kept answer of an earlier use of a key.
func keptOrder(kept json.RawMessage) (*protocol.OrderReply, error) {
	var r protocol.OrderReply
	if err := json.Unmarshal(kept, &r); err != nil {
		return nil, fmt.Errorf("read kept answer of an order: %w", err)
	}
	r.Replayed = true
	return &r, nil
}

// Soft implements Behaviour.
func (a *orderActor) Soft(ctx context.Context, d *orders, msg any, reply Reply) {
	switch m := msg.(type) {
	case protocol.LateComer:
		a.onLateComer(ctx, d, m)
	case lateDone:
		a.onLateDone(ctx, d)
	default:
		reply.Refuse(fmt.Errorf("actors: an order does not understand %T", msg))
	}
}

// Stays keeps a live order in memory.
func (*orderActor) Stays(s order.State) bool { return s.Live }

// Loaded implements Behaviour.
func (a *orderActor) Loaded(_ context.Context, d *orders) { a.register(d.State()) }

// register keeps the task's register of searching orders what the order says.
func (a *orderActor) register(s order.State) {
	if a.cfg.Watcher != nil {
		a.cfg.Watcher.OrderChanged(protocol.ViewOfOrder(s, a.cfg.Policy.Waves))
	}
	if what, searches := searchOf(s, a.cfg.Policy); searches {
		a.cfg.Searching.put(what)
		return
	}
	a.cfg.Searching.drop(s.ID)
}

// searchOf is what an order looks for at this moment; false: nothing.
func searchOf(s order.State, p order.Policy) (search, bool) {
	if !s.Live || s.Closed || s.Wave == 0 {
		return search{}, false
	}
	what := search{order: s.ID, at: s.Pickup.Point(), radiusKM: p.Waves[min(s.Wave, len(p.Waves))-1].RadiusKM}
	seen := map[string]bool{}
	for _, slot := range s.Slots {
		if slot.Status == order.SlotSearching && !seen[slot.Key] {
			seen[slot.Key] = true
			what.keys = append(what.keys, slot.Key)
		}
	}
	return what, len(what.keys) > 0
}

// SilentOrders observes nothing.
type SilentOrders struct{}

var _ OrderObserver = SilentOrders{}

// Order does nothing.
func (SilentOrders) Order(string) {}

// Wave does nothing.
func (SilentOrders) Wave(int, int) {}

// Offers does nothing.
func (SilentOrders) Offers(string, int) {}

// Hold does nothing.
func (SilentOrders) Hold(string) {}

// Confirm does nothing.
func (SilentOrders) Confirm(string) {}

// Filled does nothing.
func (SilentOrders) Filled(bool, time.Duration) {}
