package order

import (
	"slices"
	"time"

	"weelo/internal/fault"
	"weelo/internal/fleet"
)

// placeHold reserves slots for a transporter who was offered the order: the first one wins.
func (b *builder) placeHold(c PlaceHold) (Decision, error) {
	if b.s.OfferedTo(c.By.User) == nil {
		return Decision{}, ErrNotFound
	}
	switch {
	case c.Quantity < 1 || c.Quantity > MaxTrucks:
		return Decision{}, fault.Invalid("quantity", "Hold between 1 and 50 trucks.")
	case !b.open():
		return Decision{}, ErrInactive
	}
	key := fleet.Key(c.Type, c.Subtype)
	if !slices.ContainsFunc(b.s.Needs, func(n Need) bool { return n.Key == key }) {
		return Decision{}, fault.Invalid("vehicleType", "This order needs no trucks of that kind.")
	}
	b.expireHolds()
	if h := b.s.HoldOf(c.By.User, c.Type, c.Subtype); h != nil {
		if len(h.SlotIDs) != c.Quantity {
			return Decision{}, ErrAlreadyHolds.With("holdId", h.ID)
		}
		b.d.HoldID = h.ID
		return b.replayHold()
	}
	var free []Slot
	for _, slot := range b.s.Slots {
		if slot.Status == SlotSearching && slot.Key == key {
			free = append(free, slot)
		}
	}
	if len(free) < c.Quantity {
		return Decision{}, notEnough(len(free))
	}
	h := Hold{
		ID: c.HoldID, TransporterID: c.By.User, Need: free[0].Need, Key: key, Status: HoldActive,
		CreatedMS: b.now.UnixMilli(), ExpiresMS: min(b.now.Add(b.p.HoldFor).UnixMilli(), b.s.ExpiresMS),
	}
	for _, slot := range free[:c.Quantity] {
		h.SlotIDs = append(h.SlotIDs, slot.ID)
	}
	expired := len(b.d.Events) > 0
	b.add(b.term(WasHeld, h))
	if expired {
		b.reoffer()
	}
	b.d.HoldID = h.ID
	return b.done(string(fleet.Transporter))
}

// replayHold answers with the hold as it is, but for others that it found overdue.
func (b *builder) replayHold() (Decision, error) {
	d, err := b.done(string(fromTimer))
	d.Replayed = true
	return d, err
}

// expireHolds ends the holds whose time is up and whose timer has not been heard yet.
func (b *builder) expireHolds() {
	for _, h := range b.s.Holds {
		if h.Status == HoldActive && h.ExpiresMS <= b.now.UnixMilli() {
			b.endHold(h, HoldExpired)
		}
	}
}

// giveBack ends a hold. When no truck of its kind was left, everybody hears that there are some again.
func (b *builder) giveBack(h Hold, status HoldStatus) {
	soldOut := b.s.left(h.Key) == 0
	b.endHold(h, status)
	if soldOut {
		b.reoffer()
	}
}

// left counts the slots of a kind that nobody holds.
func (s State) left(key string) int {
	n := 0
	for _, slot := range s.Slots {
		if slot.Status == SlotSearching && slot.Key == key {
			n++
		}
	}
	return n
}

func (b *builder) endHold(h Hold, status HoldStatus) {
	h.Status, h.EndedMS = status, b.now.UnixMilli()
	by := string(fromTimer)
	if status == HoldReleased {
		by = string(fleet.Transporter)
	}
	b.add(Event{What: HoldEnded, User: h.TransporterID, By: by, Hold: &h, Reason: string(status)})
}

// ownHold finds the caller's hold. Somebody else's is answered like none.
func (b *builder) ownHold(by By, id string) (Hold, error) {
	h := b.s.Hold(id)
	if h == nil || h.TransporterID != by.User {
		return Hold{}, ErrHoldNotFound
	}
	b.d.HoldID = h.ID
	return *h, nil
}

// CanExtend tells whether a hold may be given more time, and until when.
func (s State) CanExtend(h Hold, now time.Time, p Policy) (untilMS int64, ok bool) {
	until := min(h.ExpiresMS+p.HoldExtension.Milliseconds(), h.CreatedMS+p.HoldMax.Milliseconds(), s.ExpiresMS)
	ok = h.Status == HoldActive && h.ExpiresMS > now.UnixMilli() && h.Extensions < p.HoldExtensions && until > h.ExpiresMS
	return until, ok
}

func (b *builder) extendHold(c ExtendHold) (Decision, error) {
	h, err := b.ownHold(c.By, c.HoldID)
	if err != nil {
		return Decision{}, err
	}
	if err := b.usable(h); err != nil {
		return Decision{}, err
	}
	until, ok := b.s.CanExtend(h, b.now, b.p)
	if !ok {
		return Decision{}, ErrNoExtension
	}
	h.ExpiresMS = until
	h.Extensions++
	b.add(b.term(HoldProlonged, h))
	return b.done(string(fleet.Transporter))
}

// term is the event that a transporter holds trucks until a moment.
func (b *builder) term(what Happening, h Hold) Event {
	_, more := b.s.CanExtend(h, b.now, b.p)
	return Event{
		What: what, User: h.TransporterID, By: string(fleet.Transporter), Hold: &h,
		CanExtend: more, MaxExtensions: b.p.HoldExtensions,
	}
}

// usable refuses a hold that cannot be confirmed or extended.
func (b *builder) usable(h Hold) error {
	switch {
	case h.Status == HoldExpired || (h.Status == HoldActive && h.ExpiresMS <= b.now.UnixMilli()):
		return ErrHoldExpired
	case h.Status != HoldActive:
		return ErrTrucksChanged
	case !b.open():
		return ErrInactive
	}
	return nil
}

// releaseHold gives the slots back. A hold that is over already is answered as given back.
func (b *builder) releaseHold(c ReleaseHold) (Decision, error) {
	h, err := b.ownHold(c.By, c.HoldID)
	if err != nil {
		return Decision{}, err
	}
	switch h.Status {
	case HoldConfirmed:
		return Decision{}, ErrTrucksChanged
	case HoldReleased, HoldExpired, HoldCancelled:
		return b.replay()
	case HoldActive:
		b.giveBack(h, HoldReleased)
	}
	return b.done(string(fleet.Transporter))
}

// declineOffer notes that a transporter does not want the order: it is not shown to him again.
func (b *builder) declineOffer(c DeclineOffer) (Decision, error) {
	o := b.s.OfferedTo(c.By.User)
	switch {
	case o == nil:
		return Decision{}, ErrNotFound
	case len([]rune(c.Reason)) > 500:
		return Decision{}, fault.Invalid("reason", "The reason may have at most 500 characters.")
	case o.Closed || o.Answer == AnswerConfirmed || b.s.holds(c.By.User):
		return b.replay()
	}
	b.add(Event{What: OfferDeclined, User: c.By.User, By: string(fleet.Transporter), Reason: c.Reason})
	return b.done(string(fleet.Transporter))
}

// holds tells whether the transporter has an active hold of any kind.
func (s State) holds(transporter fleet.UserID) bool {
	return slices.ContainsFunc(s.Holds, func(h Hold) bool { return h.Status == HoldActive && h.TransporterID == transporter })
}
