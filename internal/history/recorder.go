package history

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/track"
)

// Result says what became of one batch. Accepted, Stale, Duplicate and Invalid sum to Processed.
type Result struct {
	TripID    string // the trip the fixes were measured against; empty: the driver has no such trip
	Processed int
	Accepted  int   // new, fresh and believable
	Stale     int   // new, but older than track.StaleAfter: history only
	Duplicate int   // its (driver, ts) was there already
	Invalid   int   // see InvalidAt
	InvalidAt []int // indexes of the invalid ones, ascending
	// LastAcceptedMS is the greatest ts of the batch that is in history now and believable; 0: none.
	LastAcceptedMS int64
	// NewestFresh is the fix of the batch that may move the live position; HasFresh tells if there is one.
	NewestFresh track.Fix
	HasFresh    bool
}

// Recorder commits batches in groups. Make it with NewRecorder, run it with Run, stop it by ending
// Run's context: what was queued before is committed and answered, what comes later is refused.
type Recorder struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
	cfg   Config

	queue *queue
	notes *notes
	stats counters

	// Only touched by Run. A driver whose filter is forgotten loses the comparison of his next fix with
	// his last.
	windows *memory
	live    *generations[fleet.UserID, track.Live]
}

type job struct {
	driver fleet.UserID
	fleet  fleet.UserID // for which he drives
	tripID string
	fixes  []track.Fix
	at     time.Time         // of receipt
	queued time.Time         // of the monotonic clock, for the linger
	span   trace.SpanContext // of whoever asked
	reply  chan answer       // nil for native fixes, which nobody waits for
}

type answer struct {
	result Result
	err    error
}

// errBusy refuses a batch that cannot be queued or committed now; nothing is known to be stored.
var errBusy = fault.New(fault.Unavailable, "BUSY", "We could not store your positions just now. They will be sent again.").After(2 * time.Second)

// NewRecorder makes a recorder over a store with its own connections.
func NewRecorder(store Store, windows Windows, now func() time.Time, log *slog.Logger, cfg Config) (*Recorder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Recorder{
		store: store, now: now, log: log.With("component", "history"), cfg: cfg,
		queue:   newQueue(cfg.Queue, cfg.MaxRows),
		notes:   newNotes(cfg.MaxNotes),
		windows: newMemory(windows, cfg.Drivers),
		live:    newGenerations[fleet.UserID, track.Live](cfg.Drivers),
	}, nil
}

// Record stores a batch of a driver's fixes and answers after the commit. An empty tripID means his
// live trip; a trip that he drove for another fleet is not his. The fixes are those of the wire; Record stamps the time of receipt. It refuses more than
// MaxBatch fixes; it answers BUSY (Unavailable) when the queue is full or the commit failed or is
// uncertain, and then the same batch must be sent again.
func (r *Recorder) Record(ctx context.Context, driver fleet.Member, tripID string, fixes []track.Fix) (Result, error) {
	if len(fixes) > MaxBatch {
		return Result{}, fault.Invalid("points", fmt.Sprintf("at most %d points may be sent at once", MaxBatch))
	}
	if len(fixes) == 0 {
		return Result{}, nil
	}
	j := &job{driver: driver.Driver, fleet: driver.Fleet, tripID: tripID, fixes: fixes, at: r.now(), queued: time.Now(), span: trace.SpanContextFromContext(ctx), reply: make(chan answer, 1)}
	if !r.queue.add(j) {
		r.stats.refused.Add(1)
		return Result{}, errBusy
	}
	select {
	case a := <-j.reply:
		return a.result, a.err
	case <-ctx.Done():
		return Result{}, errBusy.Because(ctx.Err())
	}
}

// Note puts one native, never acknowledged fix into the buffer that is flushed every second. It never
// blocks. The fix enters history only if it lies inside a trip of its driver.
func (r *Recorder) Note(driver fleet.Member, fix track.Fix) {
	if r.notes.add(note{from: driver, fix: fix}) {
		r.stats.notesDropped.Add(1)
	}
}

// Run commits groups until ctx ends, then commits what is queued and returns nil.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.NoteEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.queue.wake:
			r.collect(ctx)
			if group := r.queue.take(); len(group) > 0 {
				_ = r.commit(ctx, group) // a failure was answered to each batch
			}
		case <-tick.C:
			r.flushNotes(ctx)
		case <-ctx.Done():
			r.drain(ctx)
			return nil
		}
	}
}

// collect waits for the company of the oldest batch: until its linger is over, the group is full, or
// the recorder stops.
func (r *Recorder) collect(ctx context.Context) {
	for {
		oldest, waiting, full := r.queue.state(time.Now())
		if !waiting || full || oldest >= r.cfg.Linger {
			return
		}
		linger := time.NewTimer(r.cfg.Linger - oldest)
		select {
		case <-linger.C:
		case <-r.queue.wake:
			linger.Stop()
		case <-ctx.Done():
			linger.Stop()
			return
		}
	}
}

func (r *Recorder) drain(ctx context.Context) {
	r.queue.stop()
	for group := r.queue.take(); len(group) > 0; group = r.queue.take() {
		_ = r.commit(ctx, group)
	}
	r.flushNotes(ctx)
}

// flushNotes moves the buffered native fixes into history, in groups. What could not be committed
// goes back to the buffer, as far as there is room.
func (r *Recorder) flushNotes(ctx context.Context) {
	rows := r.notes.take()
	// A driver's fixes lie together in the store: side by side they touch its pages once, which makes
	// the flush of a moving fleet about a third cheaper on SQLite.
	slices.SortStableFunc(rows, func(a, b note) int { return cmp.Compare(a.from.Driver, b.from.Driver) })
	for len(rows) > 0 {
		n := min(len(rows), r.cfg.MaxRows)
		if err := r.commit(ctx, byMember(rows[:n], r.now())); err != nil {
			r.stats.notesDropped.Add(int64(r.notes.giveBack(rows)))
			return
		}
		rows = rows[n:]
	}
}

// byMember makes one job per driver and fleet, in order of first appearance.
func byMember(notes []note, at time.Time) []*job {
	index := make(map[fleet.Member]*job)
	var jobs []*job
	for _, n := range notes {
		j := index[n.from]
		if j == nil {
			j = &job{driver: n.from.Driver, fleet: n.from.Fleet, at: at}
			index[n.from] = j
			jobs = append(jobs, j)
		}
		j.fixes = append(j.fixes, n.fix)
	}
	return jobs
}

// commit judges and stores one group and answers its jobs. It outlives ctx: what was taken from the
// queue is decided within CommitTimeout.
func (r *Recorder) commit(ctx context.Context, group []*job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.CommitTimeout)
	defer cancel()
	within, spans := r.trace(ctx, group)
	began := r.now()
	judged, rows, err := r.judge(within, group)
	var isNew []bool
	if err == nil && len(rows) > 0 {
		isNew, err = r.store.Save(within, rows)
	}
	spans.end(err)
	if err != nil {
		r.stats.failures.Add(1)
		r.log.ErrorContext(ctx, "fixes not committed", "batches", len(group), "rows", len(rows), "error", err)
		for _, j := range group {
			j.answer(answer{err: errBusy.Because(err)})
		}
		return err
	}
	if len(rows) > 0 {
		r.stats.groups.Add(1)
		r.stats.rows.Add(int64(len(rows)))
		r.cfg.Observe(len(rows), r.now().Sub(began))
	}
	for _, b := range judged {
		result := b.tally(isNew[:b.stored])
		isNew = isNew[b.stored:]
		r.stats.count(result, b.job.reply == nil)
		b.job.answer(answer{result: result})
	}
	for _, b := range judged {
		r.live.put(b.job.driver, b.live)
	}
	return nil
}

func (j *job) answer(a answer) {
	if j.reply != nil {
		j.reply <- a
	}
}

// judge looks up the windows of a group and classifies every fix, in the order of the queue. The
// rows are those to be stored, batch after batch.
func (r *Recorder) judge(ctx context.Context, group []*job) ([]*batch, []Row, error) {
	asks := make([]Ask, len(group))
	for i, j := range group {
		asks[i] = Ask{Driver: j.driver, Fleet: j.fleet, TripID: j.tripID}
	}
	windows, err := r.windows.windows(ctx, asks, r.now())
	if err != nil {
		return nil, nil, err
	}
	filters := make(map[fleet.UserID]track.Live, len(group))
	judged := make([]*batch, len(group))
	var rows []Row
	for i, j := range group {
		filter, ok := filters[j.driver]
		if !ok {
			filter, _ = r.live.get(j.driver)
		}
		judged[i] = classify(j, windows[i], filter, r.cfg.Rules)
		filters[j.driver] = judged[i].live
		rows = judged[i].rows(rows)
	}
	return judged, rows, nil
}
