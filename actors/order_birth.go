package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
)

// createLimit bounds the reads of one birth.
const createLimit = 8 * time.Second

// ErrConcurrent: another order of the same customer was placed at the same moment.
var ErrConcurrent = fault.New(fault.Conflict, "CONCURRENT_REQUEST", "Another order of yours is being placed. Please try again.")

// Create implements protocol.Orders. The order is born with its first wave in one transaction: a crash
// leaves either no order or one that was shown. Nobody owns it then; the hint makes its owner claim it,
// and a lost hint costs the sweeper's two seconds.
func (o *Orders) Create(ctx context.Context, r protocol.NewOrder) (*protocol.OrderReply, error) {
	reads, cancel := context.WithTimeout(ctx, createLimit)
	defer cancel()
	r.Hash = "create " + r.Hash
	// A repeat is answered from its record, whatever has become of the order since.
	if kept, used, err := o.cfg.Ledger.recall(reads, string(r.By.User), r.Key, r.Hash); err != nil || used {
		return bornBefore(kept, err)
	}
	now := o.cfg.Ledger.now()
	n, err := o.describe(reads, r, now)
	if err != nil {
		return o.unlessBorn(reads, r, err)
	}
	found, err := o.firstWave(reads, n, now)
	if err != nil {
		return nil, err
	}
	slots := make([]string, n.Trucks())
	for i := range slots {
		slots[i] = o.cfg.NewID()
	}
	d, err := order.Birth(n, slots, found, now, o.cfg.Policy)
	if err != nil {
		return nil, err
	}
	return o.bear(ctx, d, r)
}

// describe says who orders and checks what he asks for and whether he may.
func (o *Orders) describe(ctx context.Context, r protocol.NewOrder, now time.Time) (order.NewOrder, error) {
	customer, err := o.cfg.Users.User(ctx, r.By.User)
	if err != nil {
		return order.NewOrder{}, ErrInterrupted.Because(fmt.Errorf("create order: read customer: %w", err))
	}
	n := r.Order
	n.ID, n.CustomerID = o.cfg.NewID(), customer.ID
	n.Customer = order.Customer{Name: customer.Name, Phone: customer.Phone}
	if n, err = n.Checked(o.cfg.Price, now, o.cfg.Policy); err != nil {
		return order.NewOrder{}, err
	}
	if n.ScheduledMS != 0 {
		err = o.roomForPlans(ctx, n.CustomerID)
	} else {
		err = o.noneActive(ctx, n.CustomerID)
	}
	if err != nil {
		return order.NewOrder{}, err
	}
	return n, o.cooledDown(ctx, n.CustomerID, now)
}

// noneActive refuses a second searching order. The index has the last word.
func (o *Orders) noneActive(ctx context.Context, customer fleet.UserID) error {
	active, is, err := o.cfg.Reads.Active(ctx, customer)
	if err != nil {
		return ErrInterrupted.Because(fmt.Errorf("create order: read active order: %w", err))
	}
	if is {
		return order.ErrActiveOrder(active.ID)
	}
	return nil
}

// roomForPlans refuses one more scheduled order of a customer who has as many waiting as he may. Requests
// of the same moment may all be let through; how many those are the limit of orders per minute bounds.
func (o *Orders) roomForPlans(ctx context.Context, customer fleet.UserID) error {
	_, waiting, err := o.cfg.Reads.OfCustomer(ctx, customer, order.Page{Statuses: []order.Status{order.Created}, Limit: 1})
	if err != nil {
		return ErrInterrupted.Because(fmt.Errorf("create order: count scheduled orders: %w", err))
	}
	if waiting >= o.cfg.Policy.ScheduledMax {
		return order.ErrScheduledFull
	}
	return nil
}

// cooledDown refuses whoever has just cancelled.
func (o *Orders) cooledDown(ctx context.Context, customer fleet.UserID, now time.Time) error {
	cancels, err := o.cfg.Reads.CancelledSince(ctx, customer, now.Add(-o.cfg.Policy.RepeatedWithin))
	if err != nil {
		return ErrInterrupted.Because(fmt.Errorf("create order: read cancellations: %w", err))
	}
	return order.RebookWait(cancels, now, o.cfg.Policy)
}

// firstWave looks around the pickup of an order that searches at once.
func (o *Orders) firstWave(ctx context.Context, n order.NewOrder, now time.Time) (order.Found, error) {
	w, opens := n.Look(now, o.cfg.Policy)
	if !opens {
		return order.Found{}, nil
	}
	table, err := o.cfg.Matcher.Candidates(ctx, w)
	if err != nil {
		return order.Found{}, ErrInterrupted.Because(fmt.Errorf("create order: look for transporters: %w", err))
	}
	observeWave(o.cfg.Observer, table)
	return order.Found{RadiusKM: w.RadiusKM, Table: table}, nil
}

// bear commits the birth and makes it known.
func (o *Orders) bear(ctx context.Context, d order.Decision, r protocol.NewOrder) (*protocol.OrderReply, error) {
	t, _, err := d.Transition(0, 0)
	if err != nil {
		return nil, err
	}
	t.Trace = tracedBy(ctx)
	reply := &protocol.OrderReply{State: d.State, Version: 1}
	if r.Key != "" {
		kept, err := json.Marshal(reply)
		if err != nil {
			return nil, fmt.Errorf("create order: write answer: %w", err)
		}
		t.Idem = &ledger.Idem{Scope: string(r.By.User), Key: r.Key, Hash: r.Hash, Reply: kept}
	}
	// The client going away does not call the commit off.
	commit, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
	defer cancel()
	out := o.cfg.Ledger.Writer.Commit(commit, []ledger.Transition{t})[0]
	if out.Status != ledger.Committed {
		reply, err := o.notBorn(commit, out, r.By.User)
		if out.Status == ledger.Taken {
			return o.unlessBorn(commit, r, err)
		}
		return reply, err
	}
	done := Committed{Transition: t, Numbers: out.Numbers, Versions: out.Offers}
	o.cfg.Publisher.Deliver(deliveries(done))
	o.cfg.Publisher.Offers(offerFrames(done))
	_ = o.cfg.Router.Tell(ctx, protocol.OrderAddress(d.State.ID), protocol.Hint{Version: 1}) // lost: the sweeper comes
	o.cfg.Observer.Order(string(d.State.Status))
	observeOffers(o.cfg.Observer, out.Offers)
	return reply, nil
}

// unlessBorn refuses, unless the same request was granted since its record was looked for: the order that
// is in its way may be its own.
func (o *Orders) unlessBorn(ctx context.Context, r protocol.NewOrder, refusal error) (*protocol.OrderReply, error) {
	kept, used, err := o.cfg.Ledger.recall(ctx, string(r.By.User), r.Key, r.Hash)
	if err == nil && used {
		return bornBefore(kept, nil)
	}
	return nil, refusal
}

// notBorn turns an outcome that wrote nothing, or may have, into an answer.
func (o *Orders) notBorn(ctx context.Context, out ledger.Outcome, customer fleet.UserID) (*protocol.OrderReply, error) {
	switch {
	case out.Status == ledger.Replayed:
		return bornBefore(out.Reply, nil)
	case out.Status == ledger.Mismatched:
		return nil, ErrKeyReused
	case out.Status == ledger.Taken && out.Constraint == searchingOrder:
		if err := o.noneActive(ctx, customer); err != nil {
			return nil, err
		}
		return nil, ErrConcurrent // it has ended meanwhile
	case out.Status == ledger.Failed:
		return nil, failed(out.Err)
	case out.Status == ledger.Unknown:
		return nil, ErrInterrupted.Because(out.Err)
	default:
		return nil, fmt.Errorf("create order: outcome %v of a birth, constraint %q: %w", out.Status, out.Constraint, out.Err)
	}
}

// bornBefore reads the kept answer of an earlier use of the key.
func bornBefore(kept json.RawMessage, err error) (*protocol.OrderReply, error) {
	if err != nil {
		return nil, err
	}
	return keptOrder(kept)
}
