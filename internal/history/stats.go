package history

import "sync/atomic"

type counters struct {
	groups, rows, failures, refused         atomic.Int64
	accepted, stale, duplicate, invalid     atomic.Int64
	notesStored, notesDropped, notesOutside atomic.Int64
}

func (c *counters) count(r Result, native bool) {
	if native {
		c.notesStored.Add(int64(r.Accepted + r.Stale))
		c.notesOutside.Add(int64(r.Invalid))
		return
	}
	c.accepted.Add(int64(r.Accepted))
	c.stale.Add(int64(r.Stale))
	c.duplicate.Add(int64(r.Duplicate))
	c.invalid.Add(int64(r.Invalid))
}

// Stats is a snapshot of what a recorder did since its start, for metrics.
type Stats struct {
	Groups, Rows, Failures, Refused         int64 // commits, rows in them, failed commits, batches refused with BUSY
	Accepted, Stale, Duplicate, Invalid     int64 // fixes of batches
	NotesStored, NotesDropped, NotesOutside int64 // native fixes: stored, dropped by the bound, outside any trip or malformed
	QueueLength                             int
}

// Stats reads the counters.
func (r *Recorder) Stats() Stats {
	return Stats{
		Groups: r.stats.groups.Load(), Rows: r.stats.rows.Load(), Failures: r.stats.failures.Load(), Refused: r.stats.refused.Load(),
		Accepted: r.stats.accepted.Load(), Stale: r.stats.stale.Load(), Duplicate: r.stats.duplicate.Load(), Invalid: r.stats.invalid.Load(),
		NotesStored: r.stats.notesStored.Load(), NotesDropped: r.stats.notesDropped.Load(), NotesOutside: r.stats.notesOutside.Load(),
		QueueLength: r.queue.len(),
	}
}
