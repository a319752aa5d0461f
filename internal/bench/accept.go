package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"weelo/internal/fault"
)

// AcceptOptions size the race for trucks.
type AcceptOptions struct {
	Attempts     int // answered attempts to win a truck, on each side and store; default 100,000
	Transporters int // who race for one order; default 500
	Slots        int // of one order; default 10
	Taps         int // attempts of each transporter; default 20
	Orders       int // raced for at a time; default 2
	Seed         uint64
	Stores       []AcceptStore
}

func (o AcceptOptions) withDefaults() (AcceptOptions, error) {
	number(&o.Attempts, 100_000)
	number(&o.Transporters, 500)
	number(&o.Slots, 10)
	number(&o.Taps, 20)
	number(&o.Orders, 2)
	if o.Attempts > 100_000_000 || o.Transporters > 600 || o.Slots > 50 || o.Slots > o.Transporters || o.Taps > 1000 || o.Orders > 64 {
		return o, errors.New("that is more than this benchmark is made for: 600 transporters, 50 slots (no more than transporters), 1,000 taps, 64 orders")
	}
	if len(o.Stores) == 0 {
		return o, errors.New("there is no store to race on")
	}
	return o, nil
}

// contest is one side of the race: the product's actors, or one transaction for each attempt.
type contest interface {
	// open puts an order of so many slots up; the names are those who may win.
	open(ctx context.Context, slots int, names []string) (order string, err error)
	// win tries to win one slot of an order for a transporter. won is the slot he has, "" when he lost;
	// whoever has one keeps it. ErrTryAgain: the answer was not definite.
	win(ctx context.Context, order, name string) (slot string, err error)
	// settle takes the truck that was won to its driver's acceptance.
	settle(ctx context.Context, order, name string) error
	// winners are the slots that are accepted in the end, with who has them, as the store says.
	winners(ctx context.Context, order string, wait int) (map[string]string, error)
	// end frees everything for the next order.
	end(ctx context.Context, order string) error
}

// errTryAgain: ask again; nothing was decided.
var errTryAgain = errors.New("not decided")

// RunAccept races transporters for trucks on both sides, on every store, and reports attempts a second
// and their delay. A truck that two have won is an error: the race is lost.
func RunAccept(ctx context.Context, o AcceptOptions, progress io.Writer) (Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Report{}, err
	}
	report := Report{At: time.Now(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Runs: 1}
	fmt.Fprintf(progress, "%d attempts, %d transporters for %d trucks, %d taps each, %d orders at a time, seed %d\n",
		o.Attempts, o.Transporters, o.Slots, o.Taps, o.Orders, o.Seed)
	for _, st := range o.Stores {
		naive, err := newTransactions(ctx, st)
		if err != nil {
			return report, fmt.Errorf("%s: %w", st.Name, err)
		}
		single, err := race(ctx, o, "one transaction each, "+st.Name, naive, progress)
		if err != nil {
			return report, fmt.Errorf("%s, one transaction each: %w", st.Name, err)
		}
		market, err := newMarket(ctx, st, o)
		if err != nil {
			return report, fmt.Errorf("%s: %w", st.Name, err)
		}
		ours, err := race(ctx, o, "actors, "+st.Name, market, progress)
		err = errors.Join(err, market.close())
		if err != nil {
			return report, fmt.Errorf("%s, actors: %w", st.Name, err)
		}
		report.Seconds = max(report.Seconds, ours.took.Seconds())
		report.accept(st.Name, o, single, ours)
	}
	return report, nil
}

func (r *Report) accept(store string, o AcceptOptions, single, ours raced) {
	what := fmt.Sprintf("%d transporters for the %d trucks of an order, %d orders at a time, through hold, confirm and the driver's acceptance, while they race", o.Transporters, o.Slots, o.Orders)
	against := "one transaction for each attempt (SELECT … FOR UPDATE SKIP LOCKED, UPDATE, COMMIT)"
	r.add(Row{
		Name: "accept race, " + store, What: what, Unit: "1/s", More: true, Against: against,
		BareRuns: []float64{single.rate()}, WeeloRuns: []float64{ours.rate()},
		Notes: []string{
			fmt.Sprintf("%d double wins in %d answered attempts over %d orders", ours.doubles, ours.answered, ours.orders),
			fmt.Sprintf("%d wins, %d attempts asked to come again", ours.wins, ours.again),
		},
	})
	r.add(Row{
		Name: "accept race p99, " + store, What: "from the first tap to a definite answer", Unit: "ms", Against: against,
		BareRuns: []float64{inMS(single.quantile(0.99))}, WeeloRuns: []float64{inMS(ours.quantile(0.99))},
		Notes: []string{fmt.Sprintf("p50 %.2f ms and %.2f ms", inMS(single.quantile(0.5)), inMS(ours.quantile(0.5)))},
	})
}

func inMS(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// raced is what became of one side.
type raced struct {
	answered, again, wins, doubles, orders int64
	took                                   time.Duration   // of the races, from each starting gun to its last answer
	delays                                 []time.Duration // sampled
}

func (r raced) rate() float64 { return float64(r.answered) / r.took.Seconds() }

func (r raced) quantile(q float64) time.Duration {
	if len(r.delays) == 0 {
		return 0
	}
	slices.Sort(r.delays)
	return r.delays[min(len(r.delays)-1, int(q*float64(len(r.delays))))]
}

// maxDelays bounds the delays that are kept: one in so many attempts, by chance.
const maxDelays = 200_000

// race runs orders until so many attempts were answered.
func race(ctx context.Context, o AcceptOptions, name string, c contest, progress io.Writer) (raced, error) {
	var (
		r       raced
		mu      sync.Mutex
		done    atomic.Int64
		work    sync.WaitGroup
		failed  error
		started = time.Now()
		said    atomic.Int64
	)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for lane := range o.Orders {
		names := make([]string, o.Transporters)
		for i := range names {
			names[i] = uuid.NewString()
		}
		work.Go(func() {
			rng := rand.New(rand.NewPCG(o.Seed, uint64(lane)))
			for done.Load() < int64(o.Attempts) && ctx.Err() == nil {
				one, err := raceOne(ctx, o, c, names, rng, &done)
				mu.Lock()
				r.answered += one.answered
				r.again += one.again
				r.wins += one.wins
				r.doubles += one.doubles
				r.orders++
				r.took += one.took / time.Duration(o.Orders)
				r.delays = append(r.delays, one.delays...)
				if len(r.delays) > maxDelays {
					rng.Shuffle(len(r.delays), func(i, j int) { r.delays[i], r.delays[j] = r.delays[j], r.delays[i] })
					r.delays = r.delays[:maxDelays]
				}
				if failed == nil && err != nil {
					failed = err
					stop()
				}
				mu.Unlock()
				if tenth := done.Load() * 10 / int64(o.Attempts); said.Swap(tenth) < tenth {
					fmt.Fprintf(progress, "  %s: %d attempts, %.0f/s\n", name, done.Load(), float64(done.Load())/time.Since(started).Seconds())
				}
			}
		})
	}
	work.Wait()
	if failed == nil && r.doubles > 0 {
		failed = fmt.Errorf("%d double wins in %d attempts", r.doubles, r.answered)
	}
	return r, errors.Join(failed, ctx.Err())
}

// raceOne is one order: everybody taps, the winners settle, and the store is asked who won.
func raceOne(ctx context.Context, o AcceptOptions, c contest, names []string, rng *rand.Rand, done *atomic.Int64) (r raced, err error) {
	order, err := c.open(ctx, o.Slots, names)
	if err != nil {
		return r, fmt.Errorf("open: %w", err)
	}
	var (
		mu     sync.Mutex
		all    sync.WaitGroup
		gun    = make(chan struct{})
		won    = map[string]string{} // slot → who was told so
		failed error
	)
	for _, i := range rng.Perm(len(names)) {
		name := names[i]
		all.Go(func() {
			<-gun
			for range o.Taps {
				begun := time.Now()
				slot, again, err := winAtLast(ctx, c, order, name)
				took := time.Since(begun)
				done.Add(1)
				mu.Lock()
				r.answered++
				r.again += again
				r.delays = append(r.delays, took)
				if err != nil && failed == nil {
					failed = fmt.Errorf("win: %w", err)
				}
				first := slot != "" && won[slot] == ""
				if slot != "" {
					if !first && won[slot] != name {
						r.doubles++
					}
					won[slot] = name
				}
				mu.Unlock()
				if err != nil {
					return
				}
				if first { // he has his truck; the others tap on
					if err := c.settle(ctx, order, name); err != nil {
						mu.Lock()
						failed = errors.Join(failed, fmt.Errorf("settle: %w", err))
						mu.Unlock()
					}
					return
				}
			}
		})
	}
	started := time.Now()
	close(gun)
	all.Wait()
	r.took = time.Since(started)
	if failed != nil {
		return r, failed
	}
	stored, err := c.winners(ctx, order, len(won))
	if err != nil {
		return r, fmt.Errorf("read winners: %w", err)
	}
	r.wins = int64(len(stored))
	for slot, name := range stored {
		if won[slot] != name {
			r.doubles++
		}
	}
	if len(stored) != o.Slots || len(won) != o.Slots {
		return r, fmt.Errorf("order %s has %d winners and told %d, of %d trucks", order, len(stored), len(won), o.Slots)
	}
	return r, c.end(ctx, order)
}

// winAtLast tries until the answer is definite.
func winAtLast(ctx context.Context, c contest, order, name string) (slot string, again int64, err error) {
	for try := 0; ; try++ {
		slot, err = c.win(ctx, order, name)
		if !errors.Is(err, errTryAgain) && !busy(err) {
			return slot, again, err
		}
		again++
		select {
		case <-time.After(rand.N(time.Millisecond << min(try, 5))):
		case <-ctx.Done():
			return "", again, ctx.Err()
		}
	}
}

// busy tells whether an actor asked to come again.
func busy(err error) bool {
	var e *fault.Error
	return errors.As(err, &e) && e.Code == fault.Unavailable
}
