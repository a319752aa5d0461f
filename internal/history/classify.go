package history

import (
	"cmp"
	"slices"

	"weelo/internal/track"
)

// batch is one job after judgement: what is to be stored, and what to answer once it is.
type batch struct {
	job    *job
	window Window
	fixes  []judged   // in the order of the request
	stored int        // how many of them go to the store
	live   track.Live // the driver's live filter after the batch
}

// judged is one fix with what was found. refused fixes are not stored.
type judged struct {
	fix     track.Fix
	refused bool // malformed, out of range, ahead, or outside the trip
	verdict track.Verdict
}

// classify judges a batch at its time of receipt. The live filter sees the fixes sorted by time, so
// the order inside a batch cannot matter.
func classify(j *job, w Window, filter track.Live, rules track.Rules) *batch {
	b := &batch{job: j, window: w, fixes: make([]judged, len(j.fixes)), live: filter}
	byTime := make([]int, 0, len(j.fixes))
	for i, f := range j.fixes {
		if f.ReceivedMS == 0 {
			f.ReceivedMS = j.at.UnixMilli()
		}
		b.fixes[i].fix = f
		if track.Check(f, j.at) != nil || !w.Contains(f.TS) {
			b.fixes[i].refused = true
			continue
		}
		byTime = append(byTime, i)
	}
	b.stored = len(byTime)
	slices.SortStableFunc(byTime, func(x, y int) int { return cmp.Compare(b.fixes[x].fix.TS, b.fixes[y].fix.TS) })
	for _, i := range byTime {
		b.live, b.fixes[i].verdict = b.live.Judge(b.fixes[i].fix, j.at, rules)
	}
	return b
}

// rows appends what is to be stored, in the order of the request: without N, which names a fix on
// its connection to those who watch now.
func (b *batch) rows(to []Row) []Row {
	for _, f := range b.fixes {
		if !f.refused {
			row := Row{Driver: b.job.driver, Fix: f.fix}
			row.Fix.N = 0
			to = append(to, row)
		}
	}
	return to
}

// tally makes the answer; isNew has one entry per row, in the order of rows.
func (b *batch) tally(isNew []bool) Result {
	r := Result{TripID: b.window.TripID, Processed: len(b.fixes)}
	row := 0
	for i, f := range b.fixes {
		if f.refused {
			r.invalid(i)
			continue
		}
		fresh := isNew[row]
		row++
		switch {
		case !fresh:
			r.Duplicate++
		case f.verdict == track.Jump:
			r.invalid(i)
		case f.verdict == track.Old:
			r.Stale++
		default:
			r.Accepted++
		}
		if f.verdict == track.Jump {
			continue
		}
		r.LastAcceptedMS = max(r.LastAcceptedMS, f.fix.TS)
		if f.verdict == track.Moved && f.fix.TS > r.NewestFresh.TS {
			r.NewestFresh, r.HasFresh = f.fix, true
		}
	}
	return r
}

func (r *Result) invalid(at int) {
	r.Invalid++
	r.InvalidAt = append(r.InvalidAt, at)
}
