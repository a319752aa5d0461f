package auditlog

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"weelo/internal/fault"
)

const (
	// DefaultKeep is how long a row is kept.
	DefaultKeep = 400 * 24 * time.Hour
	// MinKeep is the least that may be asked for. The stores refuse less by themselves, by their own clock.
	MinKeep = 365 * 24 * time.Hour
	// MaxCut bounds the rows of one Trim.
	MaxCut = 1000

	// pruneRounds bounds one Prune; the next goes on.
	pruneRounds = 20
	// clockLeeway is how far this machine's clock may be ahead of the store's.
	clockLeeway = time.Hour
	// overdue is for how long fewer rows than a whole cut wait for more: each cut leaves a row.
	overdue = 24 * time.Hour
)

// ErrKeep: rows are kept for MinKeep at least.
var ErrKeep = fault.New(fault.InvalidArgument, "AUDIT_KEEP_TOO_SHORT", "Rows of the audit log are kept for a year at least.")

// Cut says what Trim may remove.
type Cut struct {
	Before time.Time // rows of this moment and later stay, and so does what stands behind the first of them
	Most   int       // 1..MaxCut
	Now    time.Time // of the row that says what was removed
}

// Prune removes the rows that are older than keep, from the oldest on, a bounded number of them, and gives
// how many. ErrKeep when keep is below MinKeep; a *BrokenError when the rows to remove do not hold: what
// was tampered with stays to be seen.
func Prune(ctx context.Context, s Store, keep time.Duration, now time.Time) (removed int, err error) {
	if keep < MinKeep {
		return 0, ErrKeep
	}
	c := Cut{Before: now.Add(-keep - clockLeeway), Most: MaxCut, Now: now}
	for range pruneRounds {
		n, err := s.Trim(ctx, c)
		removed += n
		if err != nil || n < c.Most {
			return removed, err
		}
	}
	return removed, nil
}

// Removable tells up to which of the oldest rows a cut goes, given at least Most of those behind the base,
// or all there are. ok is false when none goes, for the present. The error is a *BrokenError. Pure.
func (c Cut) Removable(base Head, oldest []Row) (to Head, ok bool, err error) {
	n := 0
	for n < min(c.Most, len(oldest)) && oldest[n].At.Before(c.Before) {
		n++
	}
	if n == 0 || n < c.Most && !oldest[0].At.Before(c.Before.Add(-overdue)) {
		return base, false, nil
	}
	to, err = Verify(base, oldest[:n])
	return to, err == nil, err
}

// Entry is the row that says what a cut removed: the chain itself vouches for where it begins.
func (c Cut) Entry(base, to Head) Entry {
	details, _ := json.Marshal(prunedDetails{From: base.Seq + 1, To: to.Seq, Hash: hex.EncodeToString(to.Hash[:])}) // cannot fail
	return Entry{At: instant(c.Now), Actor: System, Action: LogPruned, Subject: fmt.Sprint("audit:", to.Seq), Details: string(details)}
}

type prunedDetails struct {
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Hash string `json:"hash"` // of the last row that went
}

// prunedTo reads where a row of LogPruned says that the log begins. ok is false for other rows.
func (r Row) prunedTo() (to Head, ok bool) {
	var d prunedDetails
	if r.Action != LogPruned || r.Actor != System || json.Unmarshal([]byte(r.Details), &d) != nil {
		return Head{}, false
	}
	hash, err := hex.DecodeString(d.Hash)
	if err != nil || len(hash) != len(to.Hash) {
		return Head{}, false
	}
	return Head{d.To, Hash(hash)}, true
}
