package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"weelo/internal/client"
	"weelo/internal/geo"
	"weelo/internal/world"
)

// carrierAgent is a transporter: he is shown orders on his socket, holds trucks, and confirms with the
// trucks and drivers that he believes to be free.
type carrierAgent struct {
	market *market
	number int
	fleet  world.FileTransporter
	yard   geo.Point
	others *carrierAgent // another transporter, whose drivers he may name by mistake

	mu     sync.Mutex
	onRoad map[string]bool // vehicles and drivers that are on a trip, or about to be
	served int             // offers answered
	inHand map[string]bool // holds that he is dealing with, or has dealt with
}

// offerData is what an offer says of its order (contract §2.5).
type offerData struct {
	OrderID           string `json:"orderId"`
	RequestedVehicles []struct {
		VehicleType    string `json:"vehicleType"`
		VehicleSubtype string `json:"vehicleSubtype"`
		Count          int    `json:"count"`
		FilledCount    int    `json:"filledCount"`
	} `json:"requestedVehicles"`
}

// take reads what a transporter is shown and told.
func (c *carrierAgent) take(ctx context.Context) func(client.Frame) {
	m := c.market
	return func(f client.Frame) {
		if f.Received == nil {
			return
		}
		switch f.T {
		case "offer":
			var data offerData
			m.tally.offers.Add(1)
			if !f.Open { // it names the offer only
				m.book.offerFrameClosed(c.fleet.ID, f.ID, f.Version)
				return
			}
			if err := json.Unmarshal(f.Data, &data); err != nil || data.OrderID == "" {
				m.meter.fail("offer", fmt.Errorf("offer %s cannot be read: %s %w", f.ID, short(f.Data), errors.Join(err)))
				return
			}
			if m.book.offered(c.fleet.ID, data.OrderID, f.ID, f.Version) {
				m.open.Go(func() { c.answer(ctx, data) })
			}
		case "event":
			m.tally.events.Add(1)
			c.takeEvent(f)
		}
	}
}

func (c *carrierAgent) takeEvent(f client.Frame) {
	var data struct {
		OrderID string `json:"orderId"`
		TripID  string `json:"tripId"`
		Status  string `json:"status"`
	}
	if json.Unmarshal(f.Data, &data) != nil {
		return
	}
	switch f.Type {
	case "offer_closed":
		c.market.book.offerClosed(c.fleet.ID, or(f.Order, data.OrderID))
	case "trip_status":
		if trip := or(f.Trip, data.TripID); tripEnds[data.Status] {
			c.market.book.tripEnded(trip, data.Status)
		}
	}
}

// answer is what a transporter does about an order on his screen.
func (c *carrierAgent) answer(ctx context.Context, offer offerData) {
	m := c.market
	c.mu.Lock()
	c.served++
	rng := m.dice(c.fleet.ID, c.served)
	c.mu.Unlock()
	token, err := m.purse.of(ctx, world.FilePerson{ID: c.fleet.ID, Token: c.fleet.Token}, false)
	if err != nil {
		m.meter.fail("token", err)
		return
	}
	switch dice := rng.Float64(); {
	case dice < m.manners.ignore:
		m.tally.ignored.Add(1)
		return
	case dice < m.manners.ignore+m.manners.decline:
		m.tally.declined.Add(1)
		c.declineOffer(ctx, token, offer)
		return
	}
	if !c.wait(ctx, offer.OrderID, rng) {
		return
	}
	for _, r := range offer.RequestedVehicles {
		k := kind{r.VehicleType, r.VehicleSubtype, 0}
		if want := min(r.Count-r.FilledCount, c.available(k)); want > 0 {
			c.bid(ctx, token, offer.OrderID, k, 1+rng.IntN(want), rng)
		}
	}
}

// wait is until the starting gun in a race, and some seconds otherwise.
func (c *carrierAgent) wait(ctx context.Context, order string, rng *rand.Rand) bool {
	m := c.market
	if !m.Races {
		return m.think(ctx, rng, 6*time.Second)
	}
	gun := m.book.startingGun(order, 60*time.Millisecond)
	return pause(ctx, max(0, time.Until(gun))+time.Duration(rng.IntN(5000))*time.Microsecond)
}

func (c *carrierAgent) declineOffer(ctx context.Context, token string, offer offerData) {
	body := map[string]string{"driverId": c.fleet.Drivers[0].ID, "reason": "Too far."}
	answer, err := c.market.api.settle(ctx, shot{http.MethodPost, "broadcasts/" + offer.OrderID + "/decline", token, "", body})
	if err == nil && !answer.Success && answer.Status != http.StatusNotFound && answer.Status != http.StatusConflict {
		err = answer.Refusal()
	}
	if err != nil && ctx.Err() == nil {
		c.market.meter.fail("decline", err)
	}
}

// lostHold are the refusals of a hold that a loser gets.
var lostHold = map[string]bool{
	"NOT_ENOUGH_AVAILABLE": true, "TRUCK_STATE_CHANGED": true, "ORDER_INACTIVE": true, "HOLD_EXPIRED": true, "ALREADY_HOLDING": true,
	"ORDER_NOT_FOUND": true, "FLEX_HOLD_CONFLICT": true,
}

// bid holds trucks of one kind; a loser of several tries for one.
func (c *carrierAgent) bid(ctx context.Context, token, order string, k kind, quantity int, rng *rand.Rand) {
	m := c.market
	for {
		m.tally.bids.Add(1)
		body := map[string]any{"orderId": order, "vehicleType": k.vehicleType, "vehicleSubtype": k.subtype, "quantity": quantity}
		answer, err := m.keyed(ctx, shot{http.MethodPost, "truck-hold/hold", token, newKey(rng), body}, rng)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			m.meter.fail("hold", err)
			return
		case answer.Success:
			c.hold(ctx, token, order, k, answer, rng)
			return
		case !lostHold[answer.Error.Code]:
			m.meter.fail("hold", answer.Refusal())
			return
		}
		m.tally.lost.Add(1)
		if answer.Error.Code != "NOT_ENOUGH_AVAILABLE" || quantity == 1 {
			return
		}
		quantity = 1
	}
}

// hold is what a transporter does with trucks that he holds.
func (c *carrierAgent) hold(ctx context.Context, token, order string, k kind, answer client.Answer, rng *rand.Rand) {
	m := c.market
	m.tally.holds.Add(1)
	var held struct {
		HoldID   string `json:"holdId"`
		Quantity int    `json:"heldQuantity"`
	}
	if err := json.Unmarshal(answer.Data, &held); err != nil || held.HoldID == "" || held.Quantity < 1 {
		m.meter.fail("hold", fmt.Errorf("cannot be read: %s", short(answer.Body)))
		return
	}
	if !c.takeInHand(held.HoldID) {
		return // he looked at the order twice: it is the hold that he has already
	}
	switch dice := rng.Float64(); {
	case dice < m.manners.abandon:
		m.tally.abandoned.Add(1)
		return
	case dice < m.manners.abandon+m.manners.release:
		m.tally.released.Add(1)
		m.think(ctx, rng, 30*time.Second)
		c.release(ctx, token, held.HoldID, rng)
		return
	case dice < m.manners.abandon+m.manners.release+m.manners.extend:
		_, err := m.api.settle(ctx, shot{http.MethodPost, "truck-hold/flex-hold/extend", token, newKey(rng), map[string]string{"holdId": held.HoldID}})
		if err != nil && ctx.Err() == nil {
			m.meter.fail("extend", err)
		}
	}
	crews := c.pick(k, held.Quantity, rng)
	if len(crews) < held.Quantity { // he bid for what another order has taken since
		c.free(crews...)
		c.release(ctx, token, held.HoldID, rng)
		return
	}
	if !m.think(ctx, rng, 20*time.Second) {
		return
	}
	c.confirm(ctx, token, order, held.HoldID, crews, rng)
}

// takeInHand tells whether a hold is new to him. The same hold again is no second one.
func (c *carrierAgent) takeInHand(hold string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inHand[hold] {
		return false
	}
	c.inHand[hold] = true
	return true
}

func (c *carrierAgent) release(ctx context.Context, token, hold string, rng *rand.Rand) {
	answer, err := c.market.keyed(ctx, shot{http.MethodPost, "truck-hold/release", token, newKey(rng), map[string]string{"holdId": hold}}, rng)
	if err == nil && !answer.Success && answer.Status >= 500 {
		err = answer.Refusal()
	}
	if err != nil && ctx.Err() == nil {
		c.market.meter.fail("release", err)
	}
}

// heartbeatEvery keeps a transporter present: he is away after 60 s without.
const heartbeatEvery = 15 * time.Second

// beat tells where the transporter stands, again and again.
func (c *carrierAgent) beat(ctx context.Context) {
	m := c.market
	for {
		token, err := m.purse.of(ctx, world.FilePerson{ID: c.fleet.ID, Token: c.fleet.Token}, false)
		if err == nil {
			body := map[string]any{"latitude": c.yard.Lat, "longitude": c.yard.Lng, "isOnTrip": false}
			err = m.api.call(ctx, http.MethodPost, "transporter/heartbeat", token, body, nil)
		}
		if err != nil && ctx.Err() == nil {
			m.meter.fail("heartbeat", err)
		}
		if !pause(ctx, heartbeatEvery-time.Duration(rand.N(int64(2*time.Second)))) {
			return
		}
	}
}
