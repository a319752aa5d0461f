package auditlog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"weelo/internal/auditlog"
)

// TestWhatMayGo: whole cuts, or less once the oldest row is a day overdue; never a young row, nor what
// stands behind one.
func TestWhatMayGo(t *testing.T) {
	t.Parallel()
	now := at.Add(1000 * 24 * time.Hour)
	cut := auditlog.Cut{Before: now.Add(-auditlog.DefaultKeep), Most: 3, Now: now}
	hours := func(over ...int) []auditlog.Row { // rows that are so many hours older than the limit
		list := entries(len(over))
		for i, h := range over {
			list[i].At = cut.Before.Add(-time.Duration(h) * time.Hour)
		}
		return auditlog.Seal(auditlog.Head{Seq: 10}, list)
	}
	for name, c := range map[string]struct {
		over []int
		want int64 // the last that goes; 10: none
	}{
		"a log without rows":                 {nil, 10},
		"a whole cut":                        {[]int{3, 2, 1, -1}, 13},
		"no more than a whole cut":           {[]int{4, 3, 2, 1, 1}, 13},
		"a few that may wait for more":       {[]int{2, 1}, 10},
		"a few of which one waited a day":    {[]int{25, 1}, 12},
		"exactly at the limit":               {[]int{0, 0, 0}, 10},
		"young ones":                         {[]int{-1, -2, -3}, 10},
		"old ones behind a young one":        {[]int{-1, 90, 90, 90}, 10},
		"those before a young one, overdue":  {[]int{90, -1, 90}, 11},
		"those before a young one, may wait": {[]int{3, 3, -1, 90}, 10},
	} {
		rows := hours(c.over...)
		to, ok, err := cut.Removable(auditlog.Head{Seq: 10}, rows)
		if err != nil || ok != (c.want > 10) || to.Seq != c.want || ok && to != rows[c.want-11].Head() {
			t.Errorf("%s: up to %d (%v), want %d: %v", name, to.Seq, ok, c.want, err)
		}
	}
	rows := hours(3, 2, 1)
	rows[1].Reason = "other"
	var broken *auditlog.BrokenError
	if to, ok, err := cut.Removable(auditlog.Head{Seq: 10}, rows); ok || to.Seq == 13 || !errors.As(err, &broken) || broken.Seq != 12 {
		t.Errorf("rows that do not hold: up to %d (%v), %v", to.Seq, ok, err)
	}
}

// vast is a log that always has more to remove.
type vast struct {
	auditlog.Store
	asked []auditlog.Cut
}

func (v *vast) Trim(_ context.Context, c auditlog.Cut) (int, error) {
	v.asked = append(v.asked, c)
	return c.Most, nil
}

// TestPruningIsBounded, and keeps rows for longer than the limit by what clocks may differ.
func TestPruningIsBounded(t *testing.T) {
	t.Parallel()
	v := &vast{}
	n, err := auditlog.Prune(t.Context(), v, auditlog.DefaultKeep, at)
	if err != nil || n != 20*auditlog.MaxCut || len(v.asked) != 20 {
		t.Fatalf("%d rows went in %d cuts: %v", n, len(v.asked), err)
	}
	if c := v.asked[0]; !c.Before.Before(at.Add(-auditlog.DefaultKeep)) || c.Most != auditlog.MaxCut || !c.Now.Equal(at) {
		t.Errorf("cut %+v", c)
	}
	if _, err := auditlog.Prune(t.Context(), v, auditlog.MinKeep-1, at); !errors.Is(err, auditlog.ErrKeep) || len(v.asked) != 20 {
		t.Errorf("less than a year: %v", err)
	}
}

// shrinking is a log that is pruned by one row each time somebody reads its rows.
type shrinking struct {
	base, end auditlog.Head
	rows      []auditlog.Row
	prunings  int // still to come
	harmed    int64
}

func (s *shrinking) Extent(context.Context) (auditlog.Extent, error) {
	return auditlog.Extent{Base: s.base, End: s.end}, nil
}

func (s *shrinking) Chain(_ context.Context, after int64, limit int) ([]auditlog.Row, error) {
	if s.prunings > 0 {
		s.prunings--
		to := s.rows[0].Head()
		told := auditlog.Seal(s.end, []auditlog.Entry{auditlog.Cut{Now: at}.Entry(s.base, to)})
		s.base, s.rows, s.end = to, append(s.rows[1:], told...), told[0].Head()
	}
	var list []auditlog.Row
	for _, r := range s.rows {
		if r.Seq > after && len(list) < limit {
			if r.Seq == s.harmed {
				r.Reason = "other"
			}
			list = append(list, r)
		}
	}
	return list, nil
}

// TestACheckThatIsOvertaken begins again, a bounded number of times, and still finds what was tampered with.
func TestACheckThatIsOvertaken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		prunings int
		harmed   int64
		want     int64 // the row that is found; 0: none
	}{{0, 0, 0}, {1, 0, 0}, {5, 0, 0}, {5, 18, 18}, {1 << 30, 0, -1}} {
		rows := auditlog.Seal(auditlog.Head{}, entries(20))
		s := &shrinking{rows: rows, end: rows[len(rows)-1].Head(), prunings: c.prunings, harmed: c.harmed}
		span, err := auditlog.Check(t.Context(), s)
		var broken *auditlog.BrokenError
		found := errors.As(err, &broken)
		if c.want == 0 && err != nil || c.want != 0 && !found || c.want > 0 && broken.Seq != c.want {
			t.Errorf("pruned %d times, row %d harmed: over %+v, %v", c.prunings, c.harmed, span, err)
		}
	}
}
