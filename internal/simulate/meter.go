package simulate

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// meter counts what a run does. All of it may be called from anywhere.
type meter struct {
	drivers, watchers                   atomic.Int64 // connected now
	singles, batches, samples           atomic.Int64 // sent: frames and the fixes in them
	accepted, duplicate, stale, invalid atomic.Int64 // acknowledged
	delivered, events                   atomic.Int64 // positions and events at watchers
	dropped                             atomic.Int64 // single fixes without a connection
	reconnects                          atomic.Int64
	late                                histogram

	mu       sync.Mutex
	failures int64
	reasons  map[string]*failure
}

// samples is how many errors of a kind are kept whole.
const samples = 5

// failure is one kind of error.
type failure struct {
	n     int64
	texts []string
}

// fail counts an error under what it was about; the first few of a kind are kept.
func (m *meter) fail(about string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reasons == nil {
		m.reasons = map[string]*failure{}
	}
	m.failures++
	kind := m.reasons[about]
	if kind == nil {
		kind = &failure{}
		m.reasons[about] = kind
	}
	kind.n++
	if err != nil && len(kind.texts) < samples && !slices.Contains(kind.texts, err.Error()) {
		kind.texts = append(kind.texts, err.Error())
	}
}

func (m *meter) errors() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failures
}

// progress writes one line.
func (m *meter) progress(out io.Writer, since time.Duration, o Options) {
	fmt.Fprintf(out, "%s  drivers %d/%d  watchers %d/%d  sent %d  delivered %d  p50 %v  p99 %v  errors %d\n",
		clock(since), m.drivers.Load(), o.Drivers, m.watchers.Load(), o.Watchers, m.samples.Load(), m.delivered.Load(),
		m.late.quantile(0.5), m.late.quantile(0.99), m.errors())
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// histogram counts durations in buckets of 1/8 octave of microseconds (at most 9 % wide).
type histogram struct{ buckets [64 * 8]atomic.Int64 }

func (h *histogram) add(d time.Duration) {
	us := uint64(max(1, d.Microseconds()))
	octave := bits.Len64(us) - 1
	fraction := 0
	if octave >= 3 {
		fraction = int(us>>(octave-3)) & 7
	}
	h.buckets[octave*8+fraction].Add(1)
}

// quantile is the upper edge of the bucket that the share q lies in; 0 when nothing was added.
func (h *histogram) quantile(q float64) time.Duration {
	total := int64(0)
	for i := range h.buckets {
		total += h.buckets[i].Load()
	}
	rank, seen := int64(math.Ceil(float64(total)*q)), int64(0)
	for i := range h.buckets {
		if seen += h.buckets[i].Load(); seen >= rank && seen > 0 {
			edge := time.Duration(math.Exp2(float64(i/8))*(1+float64(i%8+1)/8)) * time.Microsecond
			return edge.Round(max(time.Microsecond, edge/100))
		}
	}
	return 0
}

// Summary is what a run did and what it found.
type Summary struct {
	Drivers, Watchers         int
	Singles, Batches, Samples int64 // sent
	Accepted, Duplicate       int64 // acknowledged, of batches
	Stale, Invalid            int64
	Delivered, Events         int64 // received by watchers
	Dropped, Reconnects       int64
	LateP50, LateP99, LateMax time.Duration // from first sending to the watcher
	Checked, Right            int           // watchers whose last position was judged, and was right
	EventsMissed              int64         // acknowledged steps that did not reach a watcher
	Errors                    int64         // everything that went wrong, wrong positions and missed events included
	Reasons                   []string      // the kinds of errors, most frequent first
	Took                      time.Duration
}

// OK tells whether nothing went wrong.
func (s Summary) OK() bool { return s.Errors == 0 }

func (m *meter) summary(o Options, took time.Duration) Summary {
	s := Summary{
		Drivers: o.Drivers, Watchers: o.Watchers, Singles: m.singles.Load(), Batches: m.batches.Load(), Samples: m.samples.Load(),
		Accepted: m.accepted.Load(), Duplicate: m.duplicate.Load(), Stale: m.stale.Load(), Invalid: m.invalid.Load(),
		Delivered: m.delivered.Load(), Events: m.events.Load(), Dropped: m.dropped.Load(), Reconnects: m.reconnects.Load(),
		LateP50: m.late.quantile(0.5), LateP99: m.late.quantile(0.99), LateMax: m.late.quantile(1), Took: took,
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Errors = m.failures
	kinds := slices.Collect(maps.Keys(m.reasons))
	slices.SortFunc(kinds, func(a, b string) int {
		return cmp.Or(cmp.Compare(m.reasons[b].n, m.reasons[a].n), cmp.Compare(a, b))
	})
	for _, about := range kinds {
		s.Reasons = append(s.Reasons, strings.Join(append([]string{fmt.Sprintf("%d × %s", m.reasons[about].n, about)}, m.reasons[about].texts...), "\n        "))
	}
	return s
}

// Write writes the summary for people.
func (s Summary) Write(out io.Writer) {
	fmt.Fprintf(out, "\n%d drivers, %d watchers, %v\n", s.Drivers, s.Watchers, s.Took.Round(time.Second))
	fmt.Fprintf(out, "  sent        %d fixes in %d single frames and %d batches\n", s.Samples, s.Singles, s.Batches)
	fmt.Fprintf(out, "  acknowledged in batches: %d accepted, %d duplicate, %d stale, %d invalid\n", s.Accepted, s.Duplicate, s.Stale, s.Invalid)
	fmt.Fprintf(out, "  delivered   %d positions, %d events; p50 %v, p99 %v, latest %v after sending\n", s.Delivered, s.Events, s.LateP50, s.LateP99, s.LateMax)
	fmt.Fprintf(out, "  last position right for %d of %d watchers; %d events missed\n", s.Right, s.Checked, s.EventsMissed)
	if s.Dropped > 0 || s.Reconnects > 0 {
		fmt.Fprintf(out, "  %d reconnects, %d single fixes not sent for want of a connection\n", s.Reconnects, s.Dropped)
	}
	fmt.Fprintf(out, "  errors      %d\n", s.Errors)
	for _, r := range s.Reasons {
		fmt.Fprintf(out, "    %s\n", r)
	}
}
