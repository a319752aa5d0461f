package order

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weelo/internal/fleet"
)

// skipped says, of a transporter, why he was not offered an order.
var skipped = map[string]string{
	fleet.SkipOffline:   "had gone offline",
	fleet.SkipSuspended: "is suspended",
	fleet.SkipKYC:       "is not verified",
	fleet.SkipOffered:   "had been offered it before",
	fleet.SkipNoVehicle: "had no free vehicle of the kind",
	fleet.SkipBusy:      "had too many open offers",
	fleet.SkipBeyondCap: "was behind enough others",
}

// outcome says what a transporter did about an offer, as the end of a sentence that begins with him.
func (c *chronicle) outcome(e ExplainedCandidate, s *story) string {
	after := func(ms int64) string { return "after " + span(ms-e.OfferedMS) }
	switch {
	case s.accepted > 0 && s.lost > 0:
		return fmt.Sprintf("held %s, at first %s, and has %s on the way, after a trip that came to nothing (%s)",
			trucks(s.held), after(s.heldMS), drivers(s.accepted), s.why)
	case s.accepted > 0:
		return fmt.Sprintf("held %s %s, confirmed %s, and %s accepted", trucks(s.held), after(s.heldMS), after(s.confirmedMS), drivers(s.accepted))
	case s.lost > 0:
		return fmt.Sprintf("held %s %s and confirmed, but the trip came to nothing (%s)", trucks(s.held), after(s.heldMS), s.why)
	case s.confirmed > 0:
		return fmt.Sprintf("held %s %s and confirmed; no driver has answered", trucks(s.held), after(s.heldMS))
	case s.heldMS != 0:
		return fmt.Sprintf("held %s %s and %s", trucks(s.held), after(s.heldMS), holdEnd[s.end])
	case s.declinedMS != 0 && s.why != "":
		return fmt.Sprintf("declined %s (%s)", after(s.declinedMS), s.why)
	case s.declinedMS != 0:
		return "declined " + after(s.declinedMS)
	case e.SeenMS != 0:
		return fmt.Sprintf("saw it %s and did not answer%s", after(e.SeenMS), c.until(e.Transporter))
	case e.DeliveredMS != 0:
		return fmt.Sprintf("got it %s and did not look%s", after(e.DeliveredMS), c.until(e.Transporter))
	default:
		return "was not reached" + c.until(e.Transporter)
	}
}

var holdEnd = map[HoldStatus]string{
	HoldActive:    "has not confirmed yet",
	HoldExpired:   "let the hold expire",
	HoldReleased:  "gave the hold up",
	HoldCancelled: "lost the hold with the order",
}

// until says when and why an offer was closed.
func (c *chronicle) until(transporter fleet.UserID) string {
	o := c.state.OfferedTo(transporter)
	if o == nil || !o.Closed {
		return ""
	}
	return map[string]string{
		ClosedTimeout:   " until the search ended",
		ClosedCancelled: " until the customer cancelled",
		ClosedFull:      " until all trucks were confirmed",
	}[o.Why]
}

// sentence tells ops of one look around.
func (c *chronicle) sentence(w WaveData, x ExplainedWave) string {
	var offered, rest []string
	for _, e := range x.Candidates {
		who := fmt.Sprintf("%s (%s, %s)", e.Name, distance(e.DistanceM), minutes(e.ETASeconds))
		if e.Offered {
			offered = append(offered, who+" "+e.Outcome)
		} else {
			rest = append(rest, who+" "+e.Outcome)
		}
	}
	parts := []string{c.heading(w)}
	switch {
	case x.LookedAt == 0:
		return parts[0] + nobody
	case x.Offered == 0:
		parts = append(parts, "nobody could be offered it")
	default:
		parts = append(parts, fmt.Sprintf("offered to %d of %d", x.Offered, x.LookedAt))
		parts = append(parts, offered...)
	}
	parts = append(parts, rest...)
	return parts[0] + strings.Join(parts[1:], "; ") + "."
}

const nobody = "no transporter with such a truck was online."

func (c *chronicle) heading(w WaveData) string {
	if w.Wave == LateWave {
		return "Somebody came online: "
	}
	return fmt.Sprintf("Wave %d, within %g km: ", w.Wave, w.RadiusKM)
}

// countsOnly tells of one look around without saying who.
func (c *chronicle) countsOnly(w WaveData, x ExplainedWave) string {
	if x.LookedAt == 0 {
		return c.heading(w) + nobody
	}
	parts := []string{fmt.Sprintf("offered to %d of %s", x.Offered, transporters(x.LookedAt))}
	nearest := slices.MinFunc(w.Table, func(a, b fleet.Candidate) int { return a.DistanceM - b.DistanceM })
	parts = append(parts, fmt.Sprintf("the nearest was %s away, %s", distance(nearest.DistanceM), minutes(nearest.ETASeconds)))
	var confirmed, held, declined, seen int
	for _, e := range x.Candidates {
		switch {
		case e.Answer == AnswerConfirmed:
			confirmed++
		case e.Answer == AnswerHeld:
			held++
		case e.Answer == AnswerDeclined:
			declined++
		case e.SeenMS != 0:
			seen++
		}
	}
	for _, p := range []struct {
		n    int
		what string
	}{{confirmed, "confirmed trucks"}, {held, "held trucks without confirming"}, {declined, "declined"}, {seen, "saw it and did not answer"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if none := x.Offered - confirmed - held - declined - seen; none > 0 {
		parts = append(parts, fmt.Sprintf("%d did not look", none))
	}
	for _, why := range slices.Sorted(maps.Keys(x.Skipped)) {
		parts = append(parts, fmt.Sprintf("%d %s", x.Skipped[why], skipped[why]))
	}
	return c.heading(w) + strings.Join(parts, "; ") + "."
}

func trucks(n int) string       { return plural(n, "truck") }
func drivers(n int) string      { return plural(n, "driver") }
func transporters(n int) string { return plural(n, "transporter") }

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func distance(metres int) string { return fmt.Sprintf("%.1f km", float64(metres)/1000) }

func minutes(seconds int) string { return fmt.Sprintf("%d min", (seconds+59)/60) }

// span writes a time that has passed: 0.4 s, 12 s, 3 min.
func span(ms int64) string {
	switch d := time.Duration(max(0, ms)) * time.Millisecond; {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	default:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
}
