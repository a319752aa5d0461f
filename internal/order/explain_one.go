package order

import (
	"fmt"

	"weelo/internal/fleet"
)

// Answer says why one transporter did or did not get an order.
type Answer struct {
	OrderID     string       `json:"orderId"`
	Transporter fleet.UserID `json:"transporterId"`
	Offered     bool         `json:"offered"`
	Won         int          `json:"trucksWon"`
	Summary     []string     `json:"summary"`
}

// ExplainFor tells why a transporter got the order, or why not, and who got it instead. That
// transporter may ask when the order looked at him, the order's customer and ops; names of others are
// for ops. ORDER_NOT_FOUND for everybody else: whoever it never looked at does not learn that it exists.
func ExplainFor(t Telling, transporter fleet.UserID, viewer By) (Answer, error) {
	if err := t.State.MayExplain(transporter, viewer); err != nil {
		return Answer{}, err
	}
	self := viewer.Role == fleet.Transporter && viewer.User == transporter
	c, err := t.read()
	if err != nil {
		return Answer{}, err
	}
	out := Answer{OrderID: t.State.ID, Transporter: transporter, Summary: []string{}}
	who := "This transporter"
	if self || viewer.Role == fleet.Ops {
		who = c.name(transporter)
	}
	say := func(format string, args ...any) { out.Summary = append(out.Summary, fmt.Sprintf(format, args...)) }
	looked := false
	for _, w := range c.waves {
		for place, e := range c.explain(w).Candidates {
			if e.Transporter != transporter {
				continue
			}
			looked = true
			out.Offered = out.Offered || e.Offered
			at := fmt.Sprintf("%sof %d looked at, number %d: %s away, %s.", c.heading(w), len(w.Table), place+1, distance(e.DistanceM), minutes(e.ETASeconds))
			say("%s %s %s.", at, who, e.Outcome)
		}
	}
	if !looked && self {
		return Answer{}, ErrNotFound
	}
	if !looked {
		say("%s was in none of the %s of this order: offline, further than %s from the pickup, or without a vehicle of the kind.",
			who, plural(len(c.waves), "wave"), c.furthest())
	}
	for _, slot := range t.State.Slots {
		w, won := c.slots[slot.ID]
		switch {
		case !won:
			say("Truck %d: nobody has it; it is %s.", slot.Number, slot.Status)
		case w.transporter == transporter:
			out.Won++
			say("Truck %d: won, held %s after the order was placed.", slot.Number, span(w.heldMS-t.State.CreatedMS))
		default:
			say("Truck %d: %s", slot.Number, c.whyOther(w, transporter, viewer.Role == fleet.Ops))
		}
	}
	return out, nil
}

// furthest is how far the order has looked.
func (c *chronicle) furthest() string {
	km := 0.0
	for _, w := range c.waves {
		km = max(km, w.RadiusKM)
	}
	return fmt.Sprintf("%g km", km)
}

// whyOther says why a truck went to somebody else: the first to hold it wins.
func (c *chronicle) whyOther(w win, instead fleet.UserID, named bool) string {
	who := "another transporter"
	if named {
		who = c.name(w.transporter)
		if o := c.state.OfferedTo(w.transporter); o != nil {
			who += fmt.Sprintf(" (%s, %s)", distance(o.DistanceM), minutes(o.ETASeconds))
		}
	}
	head := fmt.Sprintf("%s held it %s after the order was placed", who, span(w.heldMS-c.state.CreatedMS))
	switch mine := c.story(instead).heldMS; {
	case mine == 0:
		return head + "; this transporter did not ask for it."
	case mine > w.heldMS:
		return head + fmt.Sprintf(", %s before this transporter asked.", span(mine-w.heldMS))
	default:
		return head + "; the hold of this transporter was earlier, over by then or for another truck."
	}
}
