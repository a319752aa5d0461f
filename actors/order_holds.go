package actors

import (
	"context"
	"encoding/base32"
	"fmt"
	"io"
	"sync"

	"weelo/actors/protocol"
	"weelo/internal/order"
)

const (
	// holdPrefix and holdBytes: a hold is called HOLD_ and eight characters.
	holdPrefix = "HOLD_"
	holdBytes  = 5
	// maxHoldsKnown bounds the holds whose order one task remembers; any other is looked up.
	maxHoldsKnown = 20_000
	// maxOffered bounds the orders that a hold is looked for in.
	maxOffered = 500
)

// newHoldID names a hold.
func newHoldID(random io.Reader) (string, error) {
	b := make([]byte, holdBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("name a hold: %w", err)
	}
	return holdPrefix + base32.StdEncoding.EncodeToString(b), nil
}

// Hold implements protocol.Orders.
func (o *Orders) Hold(ctx context.Context, r protocol.HoldRequest) (*protocol.OrderReply, error) {
	id, err := newHoldID(o.cfg.Random)
	if err != nil {
		return nil, err
	}
	c := order.PlaceHold{By: r.By, HoldID: id, Type: r.Type, Subtype: r.Subtype, Quantity: r.Quantity}
	reply, err := o.ask(ctx, r.OrderID, &protocol.OrderCommand{Do: c, By: r.By, Repeat: r.Repeat})
	if err != nil {
		return nil, err
	}
	if reply.Hold = reply.State.HoldOf(r.By.User, r.Type, r.Subtype); reply.Hold == nil {
		return nil, fmt.Errorf("actors: order %s placed a hold and has none", r.OrderID)
	}
	o.holds.add(reply.Hold.ID, r.OrderID)
	return reply, nil
}

// ExtendHold implements protocol.Orders.
func (o *Orders) ExtendHold(ctx context.Context, r protocol.HoldChange) (*protocol.OrderReply, error) {
	return o.aboutHold(ctx, r.HoldID, &protocol.OrderCommand{Do: order.ExtendHold{By: r.By, HoldID: r.HoldID}, By: r.By, Repeat: r.Repeat})
}

// ReleaseHold implements protocol.Orders.
func (o *Orders) ReleaseHold(ctx context.Context, r protocol.HoldChange) (*protocol.OrderReply, error) {
	return o.aboutHold(ctx, r.HoldID, &protocol.OrderCommand{Do: order.ReleaseHold{By: r.By, HoldID: r.HoldID}, By: r.By, Repeat: r.Repeat})
}

// Confirm implements protocol.Orders.
func (o *Orders) Confirm(ctx context.Context, r protocol.ConfirmRequest) (*protocol.OrderReply, error) {
	c := order.Confirm{By: r.By, HoldID: r.HoldID, Picks: r.Picks}
	for range r.Picks {
		c.TripIDs = append(c.TripIDs, o.cfg.NewID())
	}
	return o.aboutHold(ctx, r.HoldID, &protocol.OrderCommand{Do: c, By: r.By, Repeat: r.Repeat})
}

// aboutHold finds the order of a hold and sends it the command.
func (o *Orders) aboutHold(ctx context.Context, holdID string, m *protocol.OrderCommand) (*protocol.OrderReply, error) {
	orderID, err := o.orderOf(ctx, holdID, m)
	if err != nil {
		return nil, err
	}
	reply, err := o.ask(ctx, orderID, m)
	if err != nil {
		return nil, err
	}
	if reply.Hold = reply.State.Hold(holdID); reply.Hold == nil {
		return nil, order.ErrHoldNotFound
	}
	return reply, nil
}

// orderOf finds the order of a hold: this task made it, or it is in one of the orders that the
// transporter is offered, or the command is the repeat of one that was done.
func (o *Orders) orderOf(ctx context.Context, holdID string, m *protocol.OrderCommand) (string, error) {
	if id, ok := o.holds.find(holdID); ok {
		return id, nil
	}
	offered, err := o.cfg.Reads.OfferedTo(ctx, m.By.User, maxOffered)
	if err != nil {
		return "", ErrInterrupted.Because(fmt.Errorf("find the order of a hold: %w", err))
	}
	for _, s := range offered {
		if s.Hold(holdID) != nil {
			o.holds.add(holdID, s.ID)
			return s.ID, nil
		}
	}
	if m.Key != "" && o.cfg.Ledger.Replies != nil {
		ctx, cancel := context.WithTimeout(ctx, recallLimit)
		defer cancel()
		used, ok, err := o.cfg.Ledger.Replies.Used(ctx, string(m.By.User), m.Key)
		if err != nil {
			return "", ErrInterrupted.Because(err)
		}
		if r, err := keptOrder(used.Reply); ok && err == nil && r.State.Hold(holdID) != nil {
			return r.State.ID, nil // whether it is the same request, its order says
		}
	}
	return "", order.ErrHoldNotFound
}

// holdBook remembers which order a hold belongs to, for the holds of this task. The oldest half is
// forgotten when it is full.
type holdBook struct {
	mu       sync.Mutex
	now, old map[string]string
}

func (b *holdBook) add(hold, orderID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now == nil || len(b.now) >= maxHoldsKnown/2 {
		b.now, b.old = map[string]string{}, b.now
	}
	b.now[hold] = orderID
}

func (b *holdBook) find(hold string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id, ok := b.now[hold]; ok {
		return id, true
	}
	id, ok := b.old[hold]
	return id, ok
}
