package order

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
)

// Telling is what an explanation is made from: the order, its whole history, its offers with their
// receipts, and the transporters' names.
type Telling struct {
	State   State
	History []ledger.Recorded
	Offers  []ledger.Offer
	Names   map[fleet.UserID]string // whoever lacks one is called by the beginning of his id
}

// Explanation says how an order was dispatched, one sentence for each look around.
type Explanation struct {
	OrderID    string          `json:"orderId"`
	Status     Status          `json:"status"`
	ReasonCode string          `json:"reasonCode,omitempty"`
	Summary    []string        `json:"summary"`
	Waves      []ExplainedWave `json:"waves"`
}

// ExplainedWave is one look around: a wave, or (Wave 0) somebody who came online.
type ExplainedWave struct {
	Wave      int            `json:"wave"`
	RadiusKM  float64        `json:"radiusKm"`
	AtMS      int64          `json:"at"`
	Open      int            `json:"trucksSearched"`
	LookedAt  int            `json:"lookedAt"`
	Offered   int            `json:"offered"`
	Delivered int            `json:"delivered"`
	Seen      int            `json:"seen"`
	Answered  int            `json:"answered"`
	Skipped   map[string]int `json:"skipped"` // by reason
	// Candidates are for ops only.
	Candidates []ExplainedCandidate `json:"candidates,omitempty"`
}

// ExplainedCandidate is one transporter who was looked at, and what came of it. Times are Unix ms; 0:
// not yet.
type ExplainedCandidate struct {
	fleet.Candidate
	Name        string `json:"name"`
	Offered     bool   `json:"offered"`
	OfferedMS   int64  `json:"offeredAt,omitempty"`
	DeliveredMS int64  `json:"deliveredAt,omitempty"`
	SeenMS      int64  `json:"seenAt,omitempty"`
	AnsweredMS  int64  `json:"answeredAt,omitempty"`
	Answer      string `json:"answer,omitempty"`
	Outcome     string `json:"outcome"`
}

// MayExplain tells from the order alone whether somebody may ask how it was dispatched, of one
// transporter or ("") of all: before anything is read for him. ErrNotFound when not.
func (s State) MayExplain(transporter fleet.UserID, viewer By) error {
	self := viewer.Role == fleet.Transporter && viewer.User == transporter
	if s.ownedBy(viewer) || self || transporter == "" && s.OfferedTo(viewer.User) != nil {
		return nil
	}
	return ErrNotFound
}

// Explain tells how an order was dispatched. Ops see everybody; the customer sees counts; a transporter
// sees counts too (ExplainFor tells him of himself). ORDER_NOT_FOUND for everybody else.
func Explain(t Telling, viewer By) (Explanation, error) {
	if err := t.State.MayExplain("", viewer); err != nil {
		return Explanation{}, err
	}
	c, err := t.read()
	if err != nil {
		return Explanation{}, err
	}
	out := Explanation{
		OrderID: t.State.ID, Status: t.State.Status, ReasonCode: t.State.ReasonCode,
		Summary: []string{}, Waves: []ExplainedWave{},
	}
	for _, w := range c.waves {
		wave := c.explain(w)
		if viewer.Role == fleet.Ops {
			out.Summary = append(out.Summary, c.sentence(w, wave))
		} else {
			out.Summary = append(out.Summary, c.countsOnly(w, wave))
			wave.Candidates = nil
		}
		out.Waves = append(out.Waves, wave)
	}
	return out, nil
}

// chronicle is an order's history, sorted by what is asked of it.
type chronicle struct {
	state   State
	waves   []WaveData
	stories map[fleet.UserID]*story
	offers  map[fleet.UserID]ledger.Offer
	names   map[fleet.UserID]string
	trips   map[string]fleet.UserID // by trip: whose it is
	slots   map[string]win          // by slot: who has it now
	lastMS  int64
}

// story is what one transporter did about the order.
type story struct {
	heldMS, confirmedMS, declinedMS int64 // the first time; 0: never
	held, confirmed                 int   // trucks
	released, expired               int   // holds
	accepted, lost                  int   // trips that a driver took and keeps, and that came to nothing
	why                             string
	end                             HoldStatus // of his last hold
}

// win is how a slot came to its present transporter.
type win struct {
	transporter fleet.UserID
	heldMS      int64
	accepted    bool
}

func (t Telling) read() (*chronicle, error) {
	c := &chronicle{
		state: t.State, stories: map[fleet.UserID]*story{}, offers: map[fleet.UserID]ledger.Offer{}, names: t.Names,
		trips: map[string]fleet.UserID{}, slots: map[string]win{},
	}
	for _, o := range t.Offers {
		c.offers[fleet.UserID(o.Recipient)] = o
	}
	for _, r := range t.History {
		c.lastMS = max(c.lastMS, r.Event.At.UnixMilli())
		switch r.Event.Type {
		case recordKind(WaveSent), recordKind(LateOffered):
			var w WaveData
			if err := json.Unmarshal(r.Event.Data, &w); err != nil {
				return nil, fmt.Errorf("read wave of order %s: %w", t.State.ID, err)
			}
			c.waves = append(c.waves, w)
		case recordKind(WasHeld), recordKind(HoldEnded), recordKind(WasConfirmed), recordKind(OfferDeclined),
			recordKind(SlotFilled), recordKind(SlotReopened), recordKind(SlotEnded):
			var e Event
			if err := json.Unmarshal(r.Event.Data, &e); err != nil {
				return nil, fmt.Errorf("read %s of order %s: %w", r.Event.Type, t.State.ID, err)
			}
			c.follow(e)
		}
	}
	return c, nil
}

// follow adds an event to the stories of those it is about.
func (c *chronicle) follow(e Event) {
	switch e.What {
	case WasHeld:
		s := c.story(e.User)
		s.held += len(e.Hold.SlotIDs)
		s.end = HoldActive
		s.heldMS = first(s.heldMS, e.AtMS)
		for _, id := range e.Hold.SlotIDs {
			c.slots[id] = win{transporter: e.User, heldMS: e.AtMS}
		}
	case HoldEnded:
		s := c.story(e.User)
		s.end = e.Hold.Status
		if s.end == HoldReleased {
			s.released++
		} else {
			s.expired++
		}
		for _, id := range e.Hold.SlotIDs {
			delete(c.slots, id)
		}
	case WasConfirmed:
		s := c.story(e.User)
		s.end = HoldConfirmed
		s.confirmed += len(e.Won)
		s.confirmedMS = first(s.confirmedMS, e.AtMS)
		for _, w := range e.Won {
			c.trips[w.TripID] = e.User
		}
	case OfferDeclined:
		s := c.story(e.User)
		s.declinedMS, s.why = e.AtMS, e.Reason
	case SlotFilled:
		c.story(c.trips[e.Trip]).accepted++
		w := c.slots[e.Slot]
		w.accepted = true
		c.slots[e.Slot] = w
	case SlotReopened, SlotEnded:
		if e.What == SlotReopened || e.SlotTo == SlotExpired {
			if owner, ok := c.trips[e.Trip]; ok {
				s := c.story(owner)
				s.lost++
				s.why = lossOf(e)
				if c.slots[e.Slot].accepted {
					s.accepted--
				}
			}
			delete(c.slots, e.Slot)
		}
	default: // the rest tells of no transporter
	}
}

// lossOf says how a trip came to nothing.
func lossOf(e Event) string {
	switch e.By {
	case string(fromTimer):
		return "the driver did not answer"
	case string(fleet.Driver):
		return "the driver declined"
	default:
		return "the trip was cancelled"
	}
}

func first(was, now int64) int64 {
	if was != 0 {
		return was
	}
	return now
}

func (c *chronicle) story(id fleet.UserID) *story {
	s, ok := c.stories[id]
	if !ok {
		s = &story{}
		c.stories[id] = s
	}
	return s
}

func (c *chronicle) name(id fleet.UserID) string {
	if n := c.names[id]; n != "" {
		return n
	}
	return string(id[:min(8, len(id))])
}

// explain counts a look around and says what came of each candidate.
func (c *chronicle) explain(w WaveData) ExplainedWave {
	out := ExplainedWave{
		Wave: w.Wave, RadiusKM: w.RadiusKM, AtMS: w.AtMS, Open: w.Open, LookedAt: len(w.Table), Skipped: map[string]int{},
		Candidates: []ExplainedCandidate{},
	}
	for _, line := range w.Table {
		e := ExplainedCandidate{Candidate: line, Name: c.name(line.Transporter), Offered: slices.Contains(w.Offered, line.Transporter)}
		if e.Skipped == "" && !e.Offered { // the order remembers no more than so many
			e.Skipped = fleet.SkipBeyondCap
		}
		e.Outcome = skipped[e.Skipped]
		if e.Skipped != "" {
			out.Skipped[e.Skipped]++
		}
		if e.Offered {
			c.receipts(&e, w)
			out.Offered++
			out.Delivered += count(e.DeliveredMS)
			out.Seen += count(e.SeenMS)
			out.Answered += count(e.AnsweredMS)
		}
		out.Candidates = append(out.Candidates, e)
	}
	return out
}

func count(ms int64) int {
	if ms != 0 {
		return 1
	}
	return 0
}

// receipts fills in what became of an offer. A hold or a refusal is an answer, whatever the receipts
// say: they are written apart and may be missing.
func (c *chronicle) receipts(e *ExplainedCandidate, w WaveData) {
	o, s := c.offers[e.Transporter], c.story(e.Transporter)
	e.OfferedMS = w.AtMS
	e.DeliveredMS, e.SeenMS, e.AnsweredMS, e.Answer = millis(o.Delivered), millis(o.Seen), millis(o.Answered), o.Answer
	switch {
	case s.heldMS != 0:
		e.AnsweredMS, e.Answer = s.heldMS, AnswerHeld
		if s.confirmed > 0 {
			e.Answer = AnswerConfirmed
		}
	case s.declinedMS != 0:
		e.AnsweredMS, e.Answer = s.declinedMS, AnswerDeclined
	}
	if e.AnsweredMS != 0 {
		e.SeenMS = first(e.SeenMS, e.AnsweredMS)
	}
	if e.SeenMS != 0 {
		e.DeliveredMS = first(e.DeliveredMS, e.SeenMS)
	}
	e.Outcome = c.outcome(*e, s)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
