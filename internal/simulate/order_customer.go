package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"weelo/internal/client"
	"weelo/internal/world"
)

// customerAgent books one order at a time and watches it on his socket.
type customerAgent struct {
	market *market
	person world.FilePerson
}

// spot is a place as an order takes it.
type spot struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Address   string  `json:"address"`
	City      string  `json:"city,omitempty"`
	State     string  `json:"state,omitempty"`
}

type requirement struct {
	VehicleType    string `json:"vehicleType"`
	VehicleSubtype string `json:"vehicleSubtype"`
	Quantity       int    `json:"quantity"`
	PricePerTruck  int    `json:"pricePerTruck"`
}

type bookingBody struct {
	Pickup              spot          `json:"pickup"`
	Drop                spot          `json:"drop"`
	DistanceKm          int           `json:"distanceKm"`
	VehicleRequirements []requirement `json:"vehicleRequirements"`
	GoodsType           string        `json:"goodsType"`
	ScheduledAt         string        `json:"scheduledAt,omitempty"`
}

func (e errand) body(rng *rand.Rand) bookingBody {
	b := bookingBody{
		Pickup:     spot{e.from.Lat, e.from.Lng, fmt.Sprintf("%d, Yard Road, %s", 1+rng.IntN(99), e.city.Name), e.city.Name, e.city.State},
		Drop:       spot{e.to.Lat, e.to.Lng, fmt.Sprintf("%d, Dock Street, %s", 1+rng.IntN(99), e.city.Name), e.city.Name, e.city.State},
		DistanceKm: e.km, GoodsType: "General",
	}
	for _, n := range e.needs {
		b.VehicleRequirements = append(b.VehicleRequirements, requirement{n.vehicleType, n.subtype, n.quantity, n.price})
	}
	return b
}

// patience is how long an order may take in product time: the search with every extension, the
// acceptances, and trips of at most 20 minutes with loading and unloading, twice over; and the half hour for
// which an order waits whose truck broke down and for which there is no other.
const patience = 100 * time.Minute

// slack is what is added in real time, for a machine that is busy.
const slack = 60 * time.Second

// shop books an order and stays until it has ended.
func (c *customerAgent) shop(ctx context.Context, n int) error {
	m := c.market
	rng := m.dice(c.person.ID, n)
	errand := m.towns[n%len(m.towns)].errand(rng, m.free)
	token, err := m.purse.of(ctx, c.person, false)
	if err != nil {
		return err
	}
	body := errand.body(rng)
	wanted, sent := m.plan(&body, n), time.Now()
	book := shot{http.MethodPost, "bookings/orders", token, newKey(rng), body}
	answer, err := m.keyed(ctx, book, rng)
	if err != nil {
		return err
	}
	if err := answer.Refusal(); err != nil {
		return fmt.Errorf("POST bookings/orders: %w", err)
	}
	var made struct {
		Order struct {
			ID          string `json:"id"`
			TotalTrucks int    `json:"totalTrucks"`
		} `json:"order"`
		ServerMS int64 `json:"serverTimeMs"`
	}
	if err := json.Unmarshal(answer.Data, &made); err != nil || made.Order.ID == "" {
		return fmt.Errorf("POST bookings/orders: no order in %s: %w", short(answer.Body), errors.Join(err))
	}
	if made.Order.TotalTrucks != errand.trucks() {
		m.meter.fail("another order than was booked", fmt.Errorf("%d trucks instead of %d", made.Order.TotalTrucks, errand.trucks()))
	}
	o := m.book.booked(made.Order.ID, c.person.ID, token, errand.trucks())
	if !wanted.IsZero() && made.ServerMS > 0 {
		m.book.planned(o, m.opens(wanted, sent, made.ServerMS))
	}
	m.tally.orders.Add(1)
	c.repeat(ctx, book, answer, rng)
	return c.attend(ctx, o, rng)
}

// repeat books once more with the key that was used, some time later: it is the same order.
func (c *customerAgent) repeat(ctx context.Context, s shot, first client.Answer, rng *rand.Rand) {
	m := c.market
	if rng.Float64() >= m.manners.thumb.doubleTap {
		return
	}
	again, err := m.api.settle(ctx, s)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		m.meter.fail("booking", err)
	case !again.Success || !sameAnswer(first.Data, again.Data):
		m.meter.fail("replays differ", fmt.Errorf("POST bookings/orders: %s and later %s", short(first.Body), short(again.Body)))
	}
}

// attend waits for the end of an order, cancels it when the dice say so, and looks himself when he is
// told nothing for long.
func (c *customerAgent) attend(ctx context.Context, o *booking, rng *rand.Rand) error {
	m := c.market
	var cancelAt, accepted <-chan time.Time
	var inAccept, onTheWay <-chan struct{}
	switch dice := rng.Float64(); {
	case dice < m.manners.cancel:
		cancelAt = time.After(m.product(time.Duration(rng.Float64() * float64(150*time.Second))))
	case dice < m.manners.cancel+m.manners.cancelInAccept:
		inAccept = o.accepted
	}
	if rng.Float64() < m.manners.dispute {
		onTheWay = o.onTheWay
	}
	deadline := time.NewTimer(m.product(patience) + slack)
	defer deadline.Stop()
	for {
		select {
		case <-o.over:
			return nil
		case <-cancelAt:
			cancelAt = nil
			c.cancel(ctx, o, rng)
		case <-inAccept:
			inAccept, accepted = nil, time.After(time.Duration(rng.IntN(5))*time.Millisecond)
		case <-accepted:
			accepted = nil
			c.cancel(ctx, o, rng)
		case <-onTheWay:
			onTheWay = nil
			c.complain(ctx, o, rng)
		case <-deadline.C:
			m.meter.fail("no end", fmt.Errorf("order %s of %d trucks is %s", o.id, o.trucks, m.statusOf(ctx, o)))
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *customerAgent) cancel(ctx context.Context, o *booking, rng *rand.Rand) {
	m := c.market
	answer, err := m.keyed(ctx, shot{http.MethodPost, "bookings/orders/" + o.id + "/cancel", o.token, newKey(rng), map[string]string{"reason": "Plans have changed."}}, rng)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		m.meter.fail("cancel", err)
	case answer.Success:
		m.tally.cancels.Add(1)
		m.book.mu.Lock()
		o.cancelled = true
		m.book.mu.Unlock()
	case answer.Status >= 500:
		m.meter.fail("cancel", answer.Refusal())
	default:
		m.tally.cancelsRefused.Add(1)
	}
}

// statusOf asks for the status of an order.
func (m *market) statusOf(ctx context.Context, o *booking) string {
	var s struct {
		Status string `json:"status"`
	}
	if err := m.api.call(ctx, http.MethodGet, "bookings/orders/"+o.id+"/status", o.token, nil, &s); err != nil {
		return err.Error()
	}
	return s.Status
}

// take reads what a customer is told.
func (c *customerAgent) take(f client.Frame) {
	if f.Received == nil || f.T != "event" {
		return
	}
	c.market.tally.events.Add(1)
	var data struct {
		OrderID string          `json:"orderId"`
		Status  string          `json:"status"`
		TripID  string          `json:"tripId"`
		Dispute json.RawMessage `json:"dispute"` // what became of it; no news of the order
	}
	if json.Unmarshal(f.Data, &data) != nil {
		return
	}
	switch f.Type {
	case "order_status":
		if data.Dispute == nil {
			c.market.book.orderStatus(or(f.Order, data.OrderID), data.Status)
		}
	case "trip_status":
		switch data.Status {
		case "driver_accepted":
			c.market.book.driverAccepted(or(f.Order, data.OrderID))
		case "in_transit":
			c.market.book.goodsOnTheWay(or(f.Order, data.OrderID))
		}
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
