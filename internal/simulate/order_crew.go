package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// crewOf is a truck and a driver for one slot.
type crewOf struct {
	VehicleID string `json:"vehicleId"`
	DriverID  string `json:"driverId"`
}

// pick takes up to n free trucks of the kind, each with a free driver.
func (c *carrierAgent) pick(k kind, n int, rng *rand.Rand) []crewOf {
	c.mu.Lock()
	defer c.mu.Unlock()
	var crews []crewOf
	drivers := c.fleet.Drivers
	from := rng.IntN(max(1, len(drivers)))
	for _, v := range c.fleet.Vehicles {
		if len(crews) == n {
			break
		}
		if c.onRoad[v.ID] || !strings.EqualFold(v.Type, k.vehicleType) || !strings.EqualFold(v.Subtype, k.subtype) {
			continue
		}
		for i := range drivers {
			d := drivers[(from+i)%len(drivers)]
			if !c.onRoad[d.ID] && c.market.drivers[d.ID] != nil {
				c.onRoad[v.ID], c.onRoad[d.ID] = true, true
				crews = append(crews, crewOf{v.ID, d.ID})
				break
			}
		}
	}
	return crews
}

func (c *carrierAgent) free(crews ...crewOf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range crews {
		delete(c.onRoad, w.VehicleID)
		delete(c.onRoad, w.DriverID)
	}
}

func (c *carrierAgent) available(k kind) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.fleet.Vehicles {
		if !c.onRoad[v.ID] && strings.EqualFold(v.Type, k.vehicleType) && strings.EqualFold(v.Subtype, k.subtype) {
			n++
		}
	}
	return n
}

// confirm puts crews on the slots of a hold. A foul confirmation is tried first at times: it must be
// refused, whole.
func (c *carrierAgent) confirm(ctx context.Context, token, order, hold string, crews []crewOf, rng *rand.Rand) {
	m := c.market
	if rng.Float64() < m.manners.foul && c.others != nil {
		c.foul(ctx, token, hold, crews, rng)
	}
	body := map[string]any{"holdId": hold, "assignments": crews}
	answer, err := m.keyed(ctx, shot{http.MethodPost, "truck-hold/confirm-with-assignments", token, newKey(rng), body}, rng)
	var done struct {
		TripIDs []string `json:"tripIds"`
	}
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		m.meter.fail("confirm", err) // the crews stay on the road: nobody knows
		return
	case !answer.Success:
		m.tally.refused(answer.Error.Code)
		if answer.Status >= 500 || answer.Status == http.StatusUnauthorized {
			m.meter.fail("confirm", answer.Refusal())
		}
		c.free(crews...)
		c.release(ctx, token, hold, rng)
		return
	}
	if err := json.Unmarshal(answer.Data, &done); err != nil || len(done.TripIDs) != len(crews) {
		m.meter.fail("confirm", fmt.Errorf("%d trips for %d crews: %s", len(done.TripIDs), len(crews), short(answer.Body)))
		return
	}
	m.tally.confirms.Add(1)
	for i, trip := range done.TripIDs {
		m.tally.trips.Add(1)
		j := m.book.confirmed(trip, order, c.fleet.ID, crews[i].DriverID, crews[i].VehicleID)
		m.open.Go(func() { c.await(ctx, j, crews[i]) })
	}
}

// await frees a crew when its trip has ended.
func (c *carrierAgent) await(ctx context.Context, j *journey, crew crewOf) {
	select {
	case <-j.over:
		c.free(crew)
	case <-ctx.Done():
	}
}

// foul names another fleet's driver. Nothing of it may happen.
func (c *carrierAgent) foul(ctx context.Context, token, hold string, crews []crewOf, rng *rand.Rand) {
	m := c.market
	m.tally.fouls.Add(1)
	wrong := append([]crewOf(nil), crews...)
	wrong[rng.IntN(len(wrong))].DriverID = c.others.fleet.Drivers[0].ID
	body := map[string]any{"holdId": hold, "assignments": wrong}
	answer, err := m.api.settle(ctx, shot{http.MethodPost, "truck-hold/confirm-with-assignments", token, newKey(rng), body})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		m.meter.fail("confirm", err)
	case answer.Success:
		m.meter.fail("a foreign driver was confirmed", fmt.Errorf("hold %s", hold))
	}
}
