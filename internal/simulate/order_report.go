package simulate

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tally counts what people did and what became of it. All of it may be called from anywhere.
type tally struct {
	customers, transporters, drivers atomic.Int64 // connected now

	orders, offers, events                       atomic.Int64
	bids, lost, holds, abandoned, released       atomic.Int64
	confirms, fouls                              atomic.Int64
	trips, accepts, acceptsLost                  atomic.Int64
	silent, driverDeclined                       atomic.Int64
	ignored, declined                            atomic.Int64
	cancels, cancelsRefused                      atomic.Int64
	doubles, gaveUp                              atomic.Int64
	scheduled, disputes, disputesRefused         atomic.Int64
	breakdowns, partial                          atomic.Int64
	ordersCompleted, ordersPartly                atomic.Int64
	ordersCancelled, ordersExpired, ordersUnsure atomic.Int64

	mu       sync.Mutex
	refusals map[string]int // of confirmations, by code
}

func (t *tally) refused(code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refusals == nil {
		t.refusals = map[string]int{}
	}
	t.refusals[code]++
}

func (t *tally) end(status string, filled, total int) {
	switch {
	case status == "completed" && filled < total:
		t.ordersPartly.Add(1)
	case status == "completed":
		t.ordersCompleted.Add(1)
	case status == "cancelled":
		t.ordersCancelled.Add(1)
	case status == "expired":
		t.ordersExpired.Add(1)
	default:
		t.ordersUnsure.Add(1)
	}
}

// report writes a line of progress every five seconds.
func (m *market) report(ctx context.Context, out io.Writer) {
	for pause(ctx, 5*time.Second) {
		t := m.tally
		orders, over, trips, live, driven := m.book.counts()
		fmt.Fprintf(out, "%s  orders %d/%d, %d over  offers %d  holds %d, lost %d  trips %d, %d live, %d completed  errors %d\n",
			clock(time.Since(m.begin)), orders, m.Orders, over, t.offers.Load(), t.holds.Load(), t.lost.Load(), trips, live, driven, m.meter.errors())
	}
}

// OrderSummary is what a run of orders did and what it found.
type OrderSummary struct {
	Orders, Completed, Partly, Cancelled, Expired int64
	Holds, HoldsLost, Confirms                    int64
	Trips, TripsCompleted                         int64
	DoubleTaps                                    int64
	Errors                                        int64    // everything that went wrong, broken promises included
	Reasons                                       []string // their kinds, most frequent first
	Took                                          time.Duration

	lines []string
}

// OK tells whether nothing went wrong.
func (s OrderSummary) OK() bool { return s.Errors == 0 }

func (m *market) summary() OrderSummary {
	t := m.tally
	_, _, _, _, driven := m.book.counts()
	all := m.meter.summary(Options{}, time.Since(m.begin))
	s := OrderSummary{
		Orders: t.orders.Load(), Completed: t.ordersCompleted.Load(), Partly: t.ordersPartly.Load(),
		Cancelled: t.ordersCancelled.Load(), Expired: t.ordersExpired.Load(),
		Holds: t.holds.Load(), HoldsLost: t.lost.Load(), Confirms: t.confirms.Load(),
		Trips: t.trips.Load(), TripsCompleted: int64(driven), DoubleTaps: t.doubles.Load(),
		Errors: all.Errors, Reasons: all.Reasons, Took: all.Took,
	}
	line := func(format string, args ...any) { s.lines = append(s.lines, fmt.Sprintf(format, args...)) }
	line("orders      %d booked: %d completed, %d of them partly filled, %d cancelled, %d expired, %d without an end",
		s.Orders, s.Completed+s.Partly, s.Partly, s.Cancelled, s.Expired, t.ordersUnsure.Load())
	line("offers      %d frames; %d ignored, %d declined", t.offers.Load(), t.ignored.Load(), t.declined.Load())
	line("holds       %d bids: %d won, %d lost; %d abandoned, %d given back", t.bids.Load(), s.Holds, s.HoldsLost, t.abandoned.Load(), t.released.Load())
	line("confirms    %d, and %d foul ones refused; other refusals: %s", s.Confirms, t.fouls.Load(), t.refusalText())
	line("trips       %d: %d accepted, %d lost before that, %d declined, %d not answered, %d completed",
		s.Trips, t.accepts.Load(), t.acceptsLost.Load(), t.driverDeclined.Load(), t.silent.Load(), s.TripsCompleted)
	line("cancels     %d, %d refused", t.cancels.Load(), t.cancelsRefused.Load())
	line("trouble     %d scheduled, %d breakdowns, %d partial deliveries, %d disputes raised, %d refused",
		t.scheduled.Load(), t.breakdowns.Load(), t.partial.Load(), t.disputes.Load(), t.disputesRefused.Load())
	line("thumbs      %d double taps, %d requests given up and made again", s.DoubleTaps, t.gaveUp.Load())
	line("fixes       %d sent; %d events received, %d reconnects", m.meter.samples.Load(), t.events.Load(), m.meter.reconnects.Load())
	return s
}

func (t *tally) refusalText() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	codes := slices.SortedFunc(maps.Keys(t.refusals), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.refusals[b], t.refusals[a]), cmp.Compare(a, b))
	})
	if len(codes) == 0 {
		return "none"
	}
	for i, c := range codes {
		codes[i] = fmt.Sprintf("%d %s", t.refusals[c], c)
	}
	return strings.Join(codes, ", ")
}

// Write writes the summary for people.
func (s OrderSummary) Write(out io.Writer) {
	fmt.Fprintf(out, "\n%d orders in %v\n", s.Orders, s.Took.Round(time.Second))
	for _, l := range s.lines {
		fmt.Fprintf(out, "  %s\n", l)
	}
	fmt.Fprintf(out, "  violations  %d\n", s.Errors)
	for _, r := range s.Reasons {
		fmt.Fprintf(out, "    %s\n", r)
	}
}
