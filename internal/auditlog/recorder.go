package auditlog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	// Capacity is how many entries wait for the store before logins are refused (security.md §4).
	Capacity = 10_000
	// batch bounds one transaction.
	batch = 256
	// writeLimit bounds one transaction's time, and what an operator's action waits for its row.
	writeLimit = 5 * time.Second
	// The pause after a write that failed.
	firstPause, longestPause = 100 * time.Millisecond, 5 * time.Second
)

// ErrFull: the store has been away for so long that no more entries are taken.
var ErrFull = errors.New("auditlog: the buffer is full")

// Appender writes entries: every Store does.
type Appender interface {
	Append(ctx context.Context, entries []Entry) error
}

// Config is what a Recorder needs.
type Config struct {
	Store    Appender
	Keys     Keys
	Now      func() time.Time
	Log      *slog.Logger
	Capacity int // 0: Capacity
}

// Recorder writes events down: those of logins behind a buffer, so that a login does not wait for the
// chain; those of operators at once.
type Recorder struct {
	cfg  Config
	log  *slog.Logger
	wake chan struct{}

	writing sync.Mutex // held while a batch is written: one after the other

	mu    sync.Mutex
	queue []Entry // its first may be being written
	lost  int64   // Notes that found no place
	notes notes
}

// NewRecorder makes one. Run writes what it takes.
func NewRecorder(cfg Config) *Recorder {
	if cfg.Capacity == 0 {
		cfg.Capacity = Capacity
	}
	return &Recorder{cfg: cfg, log: cfg.Log.With("component", "auditlog"), wake: make(chan struct{}, 1), notes: newNotes()}
}

// Admit says whether an event would be taken: ErrFull otherwise. Ask before a login begins.
func (r *Recorder) Admit() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) >= r.cfg.Capacity {
		return ErrFull
	}
	return nil
}

// Record takes an event; it is written within moments. ErrFull, and nothing taken, when there is no
// place for it: then what it tells must not happen.
func (r *Recorder) Record(e Event) error {
	entry := r.cfg.Keys.Entry(e, r.cfg.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pushLocked(entry)
}

func (r *Recorder) pushLocked(e Entry) error {
	if len(r.queue) >= r.cfg.Capacity {
		return ErrFull
	}
	r.queue = append(r.queue, e)
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return nil
}

// Note takes an event that anybody can cause at any rate, such as a refusal by a limit: the first from the
// same network about the same phone for the same reason is written at once, then one row a minute that says
// how often it came again. Of the same reason so many are told apart at a time, and those beyond counted
// together: the rows of a minute are bounded, however many there are from wherever. It never refuses; what
// finds no place in the buffer is counted.
func (r *Recorder) Note(e Event) {
	now := r.cfg.Now()
	entry := r.cfg.Keys.Entry(e, now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.notes.again(entry, now) {
		return
	}
	r.noteLocked(entry)
}

// LimitTripped notes that a limit refused somebody; name is of a closed set.
func (r *Recorder) LimitTripped(name string) {
	r.Note(Event{Actor: System, Action: LimitTripped, Subject: "limit:" + name, Reason: name})
}

// noteLocked leaves the last tenth of the buffer to logins.
func (r *Recorder) noteLocked(e Entry) {
	if len(r.queue) >= r.cfg.Capacity-r.cfg.Capacity/10 || r.pushLocked(e) != nil {
		r.lost++
	}
}

// Append writes events at once and answers when they are committed.
func (r *Recorder) Append(ctx context.Context, events ...Event) error {
	entries := make([]Entry, len(events))
	for i, e := range events {
		entries[i] = r.cfg.Keys.Entry(e, r.cfg.Now())
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	return r.cfg.Store.Append(ctx, entries)
}

// Waiting is how many entries wait for the store, and how many notes were lost since the start.
func (r *Recorder) Waiting() (waiting int, lost int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue), r.lost
}

// Run writes until ctx ends. Call Drain before that: what waits is lost with the process.
func (r *Recorder) Run(ctx context.Context) error {
	windows := time.NewTicker(notesEvery)
	defer windows.Stop()
	retry := time.NewTimer(0)
	defer retry.Stop()
	pause := firstPause
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-windows.C:
			r.repeat(r.cfg.Now(), false)
			continue
		case <-r.wake:
		case <-retry.C:
		}
		err := r.flush(ctx)
		if err == nil || ctx.Err() != nil {
			pause = firstPause
			continue
		}
		waiting, lost := r.Waiting()
		r.log.WarnContext(ctx, "audit entries wait for the store", "waiting", waiting, "lost_notes", lost, "error", err)
		retry.Reset(pause)
		pause = min(2*pause, longestPause)
	}
}

// Drain writes everything that waits, the counts of notes too. It gives up when ctx ends.
func (r *Recorder) Drain(ctx context.Context) error {
	r.repeat(r.cfg.Now(), true)
	return r.flush(ctx)
}

// flush writes batch after batch until nothing waits.
func (r *Recorder) flush(ctx context.Context) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	for {
		r.mu.Lock()
		entries := append([]Entry(nil), r.queue[:min(batch, len(r.queue))]...)
		r.mu.Unlock()
		if len(entries) == 0 {
			return nil
		}
		once, cancel := context.WithTimeout(ctx, writeLimit)
		err := r.cfg.Store.Append(once, entries)
		cancel()
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.queue = append(r.queue[:0], r.queue[len(entries):]...)
		r.mu.Unlock()
	}
}

// repeat writes how often notes came again.
func (r *Recorder) repeat(now time.Time, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.notes.over(now, all) {
		r.noteLocked(e)
	}
}
