package actors

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"sync"

	"weelo/actors/protocol"
	"weelo/internal/ledger"
	"weelo/internal/order"
)

const (
	// holdPrefix and holdBytes: a hold is called HOLD_ and eight characters.
	holdPrefix = "HOLD_"
	holdBytes  = 5
	// maxHoldsKnown bounds the holds whose order one task remembers; any other is looked up.
	maxHoldsKnown = 20_000
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
	orderID, err := o.orderOf(ctx, holdID, m.By)
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
// transporter was shown of late.
func (o *Orders) orderOf(ctx context.Context, holdID string, by order.By) (string, error) {
	if id, ok := o.holds.find(holdID); ok {
		return id, nil
	}
	id, err := o.cfg.Reads.OrderOfHold(ctx, by.User, holdID)
	if errors.Is(err, ledger.ErrMissing) {
		return "", order.ErrHoldNotFound
	}
	if err != nil {
		return "", ErrInterrupted.Because(fmt.Errorf("find the order of a hold: %w", err))
	}
	o.holds.add(holdID, id)
	return id, nil
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
