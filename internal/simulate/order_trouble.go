package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// What goes otherwise than planned, or was planned for later: orders that begin to search at their time,
// trucks that break down, goods that are not all taken, customers who complain.

// scheduledLead is how long before its pickup a scheduled order begins to search, in product time.
const scheduledLead = 2 * time.Hour

// plan makes an order one for later, when its dice say so: near enough that its search begins within a minute
// of product time. It gives the wanted time, zero for now.
func (m *market) plan(b *bookingBody, n int) (wanted time.Time) {
	rng := m.dice("plan", n)
	if rng.Float64() >= m.manners.schedule {
		return time.Time{}
	}
	wanted = time.Now().Add(m.product(scheduledLead + time.Duration((20+40*rng.Float64())*float64(time.Second)))).Truncate(time.Millisecond)
	b.ScheduledAt = wanted.UTC().Format("2006-01-02T15:04:05.000Z")
	m.tally.scheduled.Add(1)
	return wanted
}

// opens is the earliest moment, by this machine's clock, at which a scheduled order may be shown to anybody:
// the server said at serverMS, after the request was sent, how its clock stands.
func (m *market) opens(wanted, sent time.Time, serverMS int64) time.Time {
	return sent.Add(wanted.Sub(time.UnixMilli(serverMS)) - m.product(scheduledLead) - 50*time.Millisecond)
}

// planned notes when a scheduled order may be shown first.
func (b *book) planned(o *booking, opens time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.opens = opens
}

// fate is how a trip ends: after so many steps with a broken truck, or at its drop, with all goods or not.
type fate struct {
	breaksAfter int // steps; -1: it does not
	end         string
}

// fateOf draws it. A truck may break down on its way to the pickup, there, and on the way with its goods.
func (m *market) fateOf(rng *rand.Rand) fate {
	switch dice := rng.Float64(); {
	case dice < m.manners.breakdown:
		return fate{breaksAfter: rng.IntN(4)}
	case dice < m.manners.breakdown+m.manners.partial:
		return fate{-1, "partial_delivery"}
	default:
		return fate{-1, "completed"}
	}
}

// breakdownLimit bounds the report of a breakdown. The trip's end may be on the driver's screen before the
// answer, and he wants the answer all the same.
const breakdownLimit = time.Minute

// breakDown reports that the truck cannot go on. It is not refused unless the trip has ended by itself, and
// not when it is reported twice.
func (d *driverAgent) breakDown(ctx context.Context, token string, j *journey, rng *rand.Rand) error {
	m := d.market
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), breakdownLimit)
	defer cancel()
	body := map[string]string{"note": "The engine has given up."}
	answer, both, err := m.press(ctx, shot{http.MethodPost, "assignments/" + j.id + "/breakdown", token, "", body}, rng)
	switch {
	case err != nil:
		return err
	case !answer.Success && m.book.endOf(j) == "" && !pause(ctx, 5*time.Second): // its end is on its way
		return ctx.Err()
	case !answer.Success && m.book.endOf(j) == "":
		return fmt.Errorf("breakdown: %w", answer.Refusal())
	case !answer.Success:
		return nil
	}
	if both != nil && both[0].Success != both[1].Success {
		m.meter.fail("a repeated breakdown was refused", fmt.Errorf("trip %s", j.id))
	}
	m.tally.breakdowns.Add(1)
	m.book.reported(j, "cancelled")
	return nil
}

// reported notes the end of a trip that its driver reported and was answered with success.
func (b *book) reported(j *journey, end string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j.reported = end
}

// goodsOnTheWay lets those go who complain of goods that are on their way.
func (b *book) goodsOnTheWay(order string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.order(order)
	select {
	case <-o.onTheWay:
	default:
		close(o.onTheWay)
	}
}

// complain raises a dispute about goods that are on their way. Nobody decides it here: it stays open, whatever
// becomes of the order.
func (c *customerAgent) complain(ctx context.Context, o *booking, rng *rand.Rand) {
	m := c.market
	body := map[string]string{"reasonCode": "DELAY", "notes": "It should have been here two hours ago."}
	answer, err := m.keyed(ctx, shot{http.MethodPost, "bookings/orders/" + o.id + "/cancel/dispute", o.token, newKey(rng), body}, rng)
	var raised struct {
		DisputeID string `json:"disputeId"`
	}
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		m.meter.fail("dispute", err)
		return
	case answer.Error.Code == "DISPUTE_CREATE_FAILED": // the truck was there already
		m.tally.disputesRefused.Add(1)
		return
	case !answer.Success:
		m.meter.fail("dispute", answer.Refusal())
		return
	}
	if err := json.Unmarshal(answer.Data, &raised); err != nil || raised.DisputeID == "" {
		m.meter.fail("dispute", fmt.Errorf("cannot be read: %s %w", short(answer.Body), errors.Join(err)))
		return
	}
	m.tally.disputes.Add(1)
	m.book.mu.Lock()
	defer m.book.mu.Unlock()
	o.dispute = raised.DisputeID
}
