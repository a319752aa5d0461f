package main

import (
	"context"
	"errors"
	"time"

	"weelo/internal/auditlog"
	"weelo/internal/history"
	"weelo/internal/ledger"
	"weelo/internal/otp"
)

// upkeep removes what has outlived its retention, a little at a time, so that no commit waits behind
// it. Several tasks do the same work twice, which is harmless.
type upkeep struct {
	p  *process
	st *stores
}

const (
	upkeepEvery = time.Minute
	upkeepBatch = 1000
	// upkeepRounds bounds one pass over the fixes; the next minute goes on.
	upkeepRounds = 20
	upkeepLimit  = 30 * time.Second
	// upkeepAudit bounds the time of the audit log's part: appenders wait while rows go.
	upkeepAudit = 10 * time.Second
)

// Run works each minute until ctx ends. A store that is away is asked again the next minute.
func (u *upkeep) Run(ctx context.Context) error {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			u.pass(ctx, time.Now())
		}
	}
}

func (u *upkeep) pass(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, upkeepLimit)
	defer cancel()
	note := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			u.p.log.Warn("retention did not finish; it is tried again", "what", what, "err", err)
		}
	}
	_, err := u.st.pruner.Prune(ctx, now, ledger.Retention{})
	note("ledger", err)
	for range upkeepRounds {
		n, err := u.st.fixes.Forget(ctx, now.Add(-history.Retention).UnixMilli(), upkeepBatch)
		note("fixes", err)
		if err != nil || n < upkeepBatch {
			break
		}
	}
	_, err = u.st.fails.PruneFails(ctx, now.Add(-2*otp.DefaultPolicy().FailWindow), upkeepBatch)
	note("failed logins", err)
	// A day after its end no token of a session can be presented any more.
	_, err = u.st.sessions.Prune(ctx, now.Add(-24*time.Hour), upkeepBatch)
	note("sessions", err)
	_, err = u.st.phones.Sweep(ctx, now, upkeepBatch)
	note("phones", err)
	// An ended link is kept for a day, for whoever asks what became of it.
	_, err = u.st.shares.Prune(ctx, now.Add(-24*time.Hour), upkeepBatch)
	note("share links", err)
	_, err = u.st.quarantine.Prune(ctx, now.Add(-ledger.QuarantineRetention), ledger.MaxQuarantined, upkeepBatch)
	note("quarantine", err)
	_, err = u.st.positions.Forget(ctx, now)
	note("positions", err)
	note("audit log", u.pruneAudit(ctx, now))
}

// pruneAudit removes what the audit log has kept for long enough.
func (u *upkeep) pruneAudit(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, upkeepAudit)
	defer cancel()
	removed, err := auditlog.Prune(ctx, u.st.log, time.Duration(u.p.cfg.Ops.AuditKeep)*24*time.Hour, now)
	if removed > 0 {
		u.p.log.InfoContext(ctx, "the audit log was pruned", "rows", removed)
	}
	var broken *auditlog.BrokenError
	if errors.As(err, &broken) {
		u.p.log.ErrorContext(ctx, "the audit log was tampered with; it is not pruned any more", "row", broken.Seq, "why", broken.Why)
		return nil
	}
	return err
}
