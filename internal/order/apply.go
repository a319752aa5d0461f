package order

import (
	"maps"
	"slices"

	"weelo/internal/fleet"
)

// Apply folds one event into the state. It is total: it judges nothing, Decide has.
func Apply(s State, e Event) State {
	if e.What == WasCreated {
		s = *e.Birth
	}
	s = s.clone()
	switch e.What {
	case WasCreated:
		s.CreatedMS, s.StatusMS = e.AtMS, e.AtMS
	case SearchOpened:
		s.applyOpened(e)
	case WaveSent, LateOffered, Reoffered:
		s.applyOffers(e)
	case LookedAgain:
		s.NextWaveMS, s.LookAgain = e.NextMS, true
	case Exhausted:
		s.NextWaveMS = 0
	case WasHeld, HoldProlonged, HoldEnded:
		s.applyHold(e)
	case WasConfirmed:
		s.applyConfirmed(e)
	case OfferDeclined:
		s.closeOffer(e.User, AnswerDeclined)
	case SlotFilled, SlotReopened, SlotStarted, SlotEnded:
		s.applySlot(e)
	case SearchClosed:
		s.Closed, s.Searching, s.NextWaveMS, s.ReasonCode = true, false, 0, e.Reason
		if s.Notified == 0 {
			s.Dispatch = DispatchFailed
		}
		s.closeOffers(ClosedTimeout)
	case DecisionAsked:
		s.DecideByMS, s.ReasonCode = e.ExpiresMS, e.Reason
		s.Closed, s.Searching, s.NextWaveMS = true, false, 0
		s.closeOffers(ClosedTimeout)
	case DecisionMissed:
		s.DecideByMS, s.GaveUp = 0, true
	case FilledUp:
		s.WasFull, s.Searching = true, false
		s.closeOffers(ClosedFull)
	case StatusChanged:
		s.applyStatus(e)
	case WasCancelled:
		s.Cancellation, s.Reason = e.Cancellation, e.Reason
		s.Closed, s.Searching, s.NextWaveMS = true, false, 0
		s.closeOffers(ClosedCancelled)
	case DisputeRaised, DisputeHanded, DisputeDecided:
		s.Dispute = e.Dispute
	case NoticeIgnored:
		s.Letters++
	}
	s.applyTimers(e.Timers)
	s.Count++
	return s
}

func (s *State) applyOpened(e Event) {
	s.Searches++
	s.Closed, s.Wave, s.NextWaveMS, s.LookAgain, s.ReasonCode = false, 0, e.AtMS, false, ""
	s.ExpiresMS, s.DecideByMS = e.ExpiresMS, 0
	s.Dispatch = Dispatching
	if s.TruckLost() {
		s.ReasonCode = ReasonTruckLost
	}
	if e.Slot != "" { // nobody asked for the others, and nobody is kept from ordering by what he did not do
		return
	}
	s.Searching = !s.WasFull && s.OpensMS <= s.CreatedMS // not scheduled ahead
	for i := range s.Slots {
		if slot := &s.Slots[i]; slot.Status == SlotExpired {
			slot.free(SlotSearching)
			slot.EndedMS = 0
		}
	}
}

// applyOffers remembers who was offered the order, anew or again.
func (s *State) applyOffers(e Event) {
	if e.What == WaveSent {
		s.Wave, s.WaveMS, s.NextWaveMS, s.LookAgain = e.Wave, e.AtMS, e.NextMS, false
	}
	if e.What == Reoffered {
		s.applyReoffered(e.Offered)
	} else {
		s.Offered = append(s.Offered, e.Offered...)
		s.Notified += len(e.Offered)
	}
	if len(e.Offered) > 0 {
		s.Revision++
	}
	beyond := 0
	for _, c := range e.Table {
		if c.Skipped == fleet.SkipBeyondCap {
			beyond++
		}
	}
	s.Online = max(s.Online, len(s.Offered)+beyond)
	s.Dispatch, s.ReasonCode = Dispatched, ""
	switch {
	case s.TruckLost():
		s.ReasonCode = ReasonTruckLost
	case s.Notified == 0:
		s.Dispatch, s.ReasonCode = Dispatching, ReasonNoneOnline
	}
}

// applyReoffered changes what is remembered; both lists are in the same order.
func (s *State) applyReoffered(changed []Offered) {
	at := 0
	for _, o := range changed {
		for s.Offered[at].TransporterID != o.TransporterID {
			at++
		}
		s.Offered[at] = o
	}
}

func (s *State) applyHold(e Event) {
	h := *e.Hold
	if known := s.Hold(h.ID); known != nil {
		*known = h
	} else {
		s.Holds = append(s.Holds, h)
	}
	for _, id := range h.SlotIDs {
		slot := s.Slot(id)
		switch {
		case e.What == WasHeld:
			slot.Status, slot.HoldID, slot.TransporterID = SlotHeld, h.ID, h.TransporterID
		case e.What == HoldEnded && slot.Status == SlotHeld && slot.HoldID == h.ID:
			slot.free(SlotSearching)
		}
	}
	if o := s.OfferedTo(h.TransporterID); o != nil && e.What == WasHeld {
		o.Answer = AnswerHeld
	}
	s.forgetHolds()
}

func (s *State) applyConfirmed(e Event) {
	*s.Hold(e.Hold.ID) = *e.Hold
	for _, w := range e.Won {
		slot := s.Slot(w.SlotID)
		slot.Status, slot.TripID, slot.TransporterName = SlotAssigned, w.TripID, w.Transporter
		slot.VehicleID, slot.VehicleNumber = w.VehicleID, w.VehicleNumber
		slot.DriverID, slot.DriverName, slot.DriverPhone = w.DriverID, w.DriverName, w.DriverPhone
		slot.AssignedMS = e.AtMS
	}
	if o := s.OfferedTo(e.User); o != nil {
		o.Answer = AnswerConfirmed
	}
}

func (s *State) applySlot(e Event) {
	slot := s.Slot(e.Slot)
	if givenUp := e.What == SlotReopened || e.SlotTo == SlotExpired; givenUp && slot.Status.Filled() {
		slot.Lost = slot.Status
	}
	switch e.What {
	case SlotFilled:
		slot.Status, slot.AcceptedMS, slot.Lost = SlotAccepted, e.AtMS, ""
		s.Extensions = max(s.Extensions, s.Tally().Filled)
		if e.ExpiresMS != 0 {
			s.ExpiresMS = e.ExpiresMS
		}
	case SlotReopened:
		slot.free(SlotSearching)
		slot.Tries++
	case SlotStarted:
		slot.Status = SlotInProgress
	case SlotEnded:
		if e.SlotTo == SlotExpired && slot.Status.OnTrip() {
			slot.Tries++
		}
		if e.SlotTo == SlotExpired || slot.TripID == "" {
			slot.free(e.SlotTo)
		}
		slot.Status, slot.EndedMS = e.SlotTo, e.AtMS
	default: // other events are about no slot
	}
	switch {
	case s.Closed: // a driver who was asked before the search ended may still answer
		s.ReasonCode = s.closeReason()
	case s.TruckLost():
		s.ReasonCode = ReasonTruckLost
	case s.ReasonCode == ReasonTruckLost:
		s.ReasonCode = ""
	}
}

func (s *State) applyStatus(e Event) {
	s.Status, s.Live, s.StatusMS = e.To, !e.To.Terminal(), e.AtMS
	if !s.Live {
		s.EndedMS, s.EndedBy = e.AtMS, e.By
		s.Closed, s.Searching, s.NextWaveMS = true, false, 0
		s.closeOffers(ClosedTimeout)
	}
}

// closeReason is why a search that is over did not find every truck.
func (s State) closeReason() string {
	t := s.Tally()
	switch {
	case t.Full():
		return ""
	case s.TruckLost():
		return ReasonTruckLost
	case t.Filled > 0:
		return ReasonPartialFill
	case s.Notified == 0:
		return ReasonNoneOnline
	default:
		return ReasonNoAcceptant
	}
}

func (s *State) closeOffers(why string) {
	changed := false
	for i := range s.Offered {
		if o := &s.Offered[i]; !o.Closed {
			o.Closed, o.Why = true, why
			o.Version++
			changed = true
		}
	}
	if changed {
		s.Revision++
	}
}

func (s *State) closeOffer(transporter fleet.UserID, why string) {
	if o := s.OfferedTo(transporter); o != nil {
		o.Answer = why
		if !o.Closed {
			o.Closed, o.Why = true, why
			o.Version++
		}
	}
}

func (s *State) applyTimers(sets []TimerSet) {
	for _, t := range sets {
		if t.DueMS == 0 {
			delete(s.Timers, t.Name)
			continue
		}
		s.Timers[t.Name] = Timer{Number: t.Number, DueMS: t.DueMS}
	}
}

// free empties a slot.
func (slot *Slot) free(status SlotStatus) {
	*slot = Slot{
		ID: slot.ID, Number: slot.Number, Need: slot.Need, Key: slot.Key,
		Status: status, Tries: slot.Tries, Lost: slot.Lost, EndedMS: slot.EndedMS,
	}
}

// keptHolds bounds the ended holds that an order remembers: they answer repeats.
const keptHolds = 100

// forgetHolds drops the oldest ended holds beyond keptHolds.
func (s *State) forgetHolds() {
	ended := 0
	for _, h := range s.Holds {
		if h.Status != HoldActive {
			ended++
		}
	}
	s.Holds = slices.DeleteFunc(s.Holds, func(h Hold) bool {
		if h.Status == HoldActive || ended <= keptHolds {
			return false
		}
		ended--
		return true
	})
}

// clone makes sure that a state once handed out is never written to again.
func (s State) clone() State {
	s.Slots = slices.Clone(s.Slots)
	s.Holds = slices.Clone(s.Holds)
	s.Offered = slices.Clone(s.Offered)
	s.Timers = maps.Clone(s.Timers)
	if s.Timers == nil {
		s.Timers = map[string]Timer{}
	}
	return s
}
