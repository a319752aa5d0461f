package simulate

import (
	"testing"
	"time"
)

// TestAnOrderForLaterIsNotShownEarly: a screen that shows it before its time is complained of, and one that
// shows it in time is not.
func TestAnOrderForLaterIsNotShownEarly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opens time.Duration // from now
		wrong bool
	}{"early": {time.Hour, true}, "in time": {-time.Hour, false}} {
		meter := &meter{}
		b := newBook(meter)
		o := b.booked("o", "c", "token", 1)
		b.planned(o, time.Now().Add(c.opens))
		b.offered("t", "o", "offer", 1)
		if got := meter.errors() > 0; got != c.wrong {
			t.Errorf("%s: complained of: %v", name, got)
		}
	}
}

// TestOpensIsNeverTooLate: however the clocks differ and however long the booking took, the moment is not
// after the server's.
func TestOpensIsNeverTooLate(t *testing.T) {
	t.Parallel()
	m := &market{OrderOptions: OrderOptions{Speed: 30}}
	sent := time.Now()
	wanted := sent.Add(m.product(scheduledLead + 40*time.Second))
	for _, ahead := range []time.Duration{-time.Hour, 0, 3 * time.Second, time.Hour} { // the server's clock
		for _, way := range []time.Duration{0, 20 * time.Millisecond, time.Second} {
			server := sent.Add(way + ahead)
			truly := wanted.Add(-m.product(scheduledLead) - ahead) // by this machine's clock
			got := m.opens(wanted, sent, server.UnixMilli())
			if early := truly.Sub(got); early < 0 || early > way+60*time.Millisecond {
				t.Errorf("with a server %s ahead that took %s, %s before its time", ahead, way, early)
			}
		}
	}
}

// TestFates: of many trips each ends in each way, in the shares of the day; on a quiet day all are driven to
// their end.
func TestFates(t *testing.T) {
	t.Parallel()
	rush := &market{manners: rushHour()}
	ends := map[string]int{}
	for n := range 10_000 {
		f := rush.fateOf(rush.dice("driver", n))
		if f.breaksAfter >= 0 != (f.end == "") || f.breaksAfter > 3 {
			t.Fatalf("fate %+v", f)
		}
		if f.breaksAfter >= 0 {
			f.end = []string{"on the way there", "at the pickup", "loaded", "on the way"}[f.breaksAfter]
		}
		ends[f.end]++
		quiet := &market{manners: quietDay()}
		if f := quiet.fateOf(quiet.dice("driver", n)); f != (fate{-1, "completed"}) {
			t.Fatalf("on a quiet day %+v", f)
		}
	}
	for _, end := range []string{"on the way there", "at the pickup", "loaded", "on the way", "partial_delivery"} {
		if ends[end] < 100 || ends[end] > 900 {
			t.Errorf("%d trips of 10,000 end %s", ends[end], end)
		}
	}
	if ends["completed"] < 8000 {
		t.Errorf("%d are completed", ends["completed"])
	}
}
