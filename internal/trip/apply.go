package trip

import "maps"

// Apply folds one event into the state. It is total: it judges nothing, Decide has.
func Apply(s State, e Event) State {
	s = s.clone()
	switch e.What {
	case Assigned:
		s = e.Birth.clone()
		s.enter(Pending, e.AtMS)
		s.AssignedMS = e.AtMS
	case Accepted:
		s.enter(DriverAccepted, e.AtMS)
		s.AcceptedMS = e.AtMS
	case CameNear:
		s.NearMS = e.AtMS
	case CodeRefused:
		s.Delivery.Tries++
		if e.UntilMS != 0 {
			s.Delivery.Tries, s.Delivery.UntilMS = 0, e.UntilMS
		}
	case Declined, TimedOut, WasCancelled, BrokeDown, StepReached:
		s.enter(e.To, e.AtMS)
		if e.Code != "" {
			s.Delivery = &Delivery{Code: e.Code}
		}
		if !s.Live {
			s.EndedMS, s.EndedBy, s.Reason = e.AtMS, e.By, e.Reason
		}
	case Heard:
		s.HeardMS, s.FlaggedMS = e.HeardMS, 0
	case WentSilent:
		s.HeardMS, s.FlaggedMS = e.HeardMS, e.AtMS
	case TrackFolded:
		s.Track = *e.Track
	}
	for _, t := range e.Timers {
		if t.DueMS == 0 {
			delete(s.Timers, t.Name)
			continue
		}
		s.Timers[t.Name] = Timer{Number: t.Number, DueMS: t.DueMS}
	}
	s.Count++
	return s
}

// enter moves the state into a status. A step is a sign of the driver: it clears the silence flag.
func (s *State) enter(status Status, atMS int64) {
	s.Status, s.Live, s.StatusMS = status, !status.Terminal(), atMS
	s.Reached[status] = atMS
	s.FlaggedMS = 0
}

// clone makes sure that a state once handed out is never written to again.
func (s State) clone() State {
	s.Reached = maps.Clone(s.Reached)
	if s.Reached == nil {
		s.Reached = map[Status]int64{}
	}
	if s.Delivery != nil {
		d := *s.Delivery
		s.Delivery = &d
	}
	s.Timers = maps.Clone(s.Timers)
	if s.Timers == nil {
		s.Timers = map[string]Timer{}
	}
	return s
}
