package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/auditlog"
)

// AuditHand is what somebody with the database's password can do.
type AuditHand struct {
	Do      func(statement string) error
	Unguard func() // takes away all that refuses
}

const day = 24 * time.Hour

// aged are entries that were written so long ago.
func aged(now time.Time, age time.Duration, n int) []auditlog.Entry {
	list := make([]auditlog.Entry, n)
	for i := range list {
		list[i] = auditlog.Entry{At: now.Add(-age).Add(time.Duration(i) * time.Second).UTC().Truncate(time.Microsecond), Actor: "o1", Role: "ops",
			Action: auditlog.OpsRead, Subject: fmt.Sprint("user:", i), Details: "{}"}
	}
	return list
}

// prunedLog is a log of 12 old rows, of which 8 are gone, and 4 young ones, behind which stands what was
// done: rows 9 to 17.
func prunedLog(t *testing.T, s auditlog.Store, now time.Time) {
	t.Helper()
	must(t, s.Append(t.Context(), aged(now, 500*day, 12)))
	must(t, s.Append(t.Context(), aged(now, 100*day, 4)))
	n, err := s.Trim(t.Context(), auditlog.Cut{Before: now.Add(-auditlog.DefaultKeep), Most: 8, Now: now})
	must(t, err)
	if n != 8 {
		t.Fatalf("%d rows went, want 8", n)
	}
}

// AuditPruning is the conformance suite of auditlog.Store.Trim. open gives an empty log.
func AuditPruning(t *testing.T, open func(t *testing.T) (auditlog.Store, AuditHand)) {
	t.Helper()

	t.Run("the oldest go a few at a time, and the chain holds from where it begins", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t)
		now := time.Now()
		must(t, s.Append(t.Context(), aged(now, 500*day, 25)))
		must(t, s.Append(t.Context(), aged(now, 200*day, 5)))
		var went []int
		for range 5 {
			n, err := s.Trim(t.Context(), auditlog.Cut{Before: now.Add(-auditlog.DefaultKeep), Most: 10, Now: now})
			must(t, err)
			went = append(went, n)
			if _, err := auditlog.Check(t.Context(), s); err != nil {
				t.Fatalf("after %v: %v", went, err)
			}
		}
		if diff := cmp.Diff([]int{10, 10, 5, 0, 0}, went); diff != "" {
			t.Errorf("rows that went (-want +got):\n%s", diff)
		}
		span, err := s.Extent(t.Context())
		must(t, err)
		rows, err := s.Chain(t.Context(), 0, 100)
		must(t, err)
		if span.Base.Seq != 25 || span.End.Seq != 33 || len(rows) != 8 || rows[0].Seq != 26 {
			t.Errorf("the log reaches over %+v, and has %d rows from %d on", span, len(rows), rows[0].Seq)
		}
		told, err := s.Rows(t.Context(), auditlog.Query{Action: auditlog.LogPruned, Limit: 10})
		must(t, err)
		if len(told) != 3 || told[0].Actor != auditlog.System || told[0].Subject != "audit:25" {
			t.Errorf("what was removed is written as %+v", told)
		}
		must(t, s.Append(t.Context(), aged(now, 0, 3)))
		if span, err = auditlog.Check(t.Context(), s); err != nil || span.End.Seq != 36 {
			t.Errorf("the chain goes on to %d: %v", span.End.Seq, err)
		}
	})

	t.Run("all of a log can go but what says so", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t)
		now := time.Now()
		must(t, s.Append(t.Context(), aged(now, 500*day, 3)))
		if n, err := auditlog.Prune(t.Context(), s, auditlog.DefaultKeep, now); err != nil || n != 3 {
			t.Errorf("%d rows went: %v", n, err)
		}
		rows, err := s.Chain(t.Context(), 0, 10)
		must(t, err)
		if span, err := auditlog.Check(t.Context(), s); err != nil || len(rows) != 1 || span.Base.Seq != 3 || span.End.Seq != 4 {
			t.Errorf("rows %+v of %+v: %v", rows, span, err)
		}
	})

	t.Run("what stands behind a young row stays", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t)
		now := time.Now()
		for _, age := range []time.Duration{500 * day, 499 * day, 10 * day, 498 * day} {
			must(t, s.Append(t.Context(), aged(now, age, 1)))
		}
		for _, want := range []int{2, 0} {
			if n, err := auditlog.Prune(t.Context(), s, auditlog.DefaultKeep, now); err != nil || n != want {
				t.Errorf("%d rows went, want %d: %v", n, want, err)
			}
		}
		if span, err := auditlog.Check(t.Context(), s); err != nil || span.Base.Seq != 2 {
			t.Errorf("the log reaches over %+v: %v", span, err)
		}
	})

	auditRefusals(t, open)
	auditTampering(t, open)

	t.Run("what was tampered with is not removed", func(t *testing.T) {
		t.Parallel()
		s, hand := open(t)
		now := time.Now()
		must(t, s.Append(t.Context(), aged(now, 500*day, 5)))
		hand.Unguard()
		must(t, hand.Do(`UPDATE audit_log SET reason = 'other' WHERE seq = 3`))
		var broken *auditlog.BrokenError
		if n, err := auditlog.Prune(t.Context(), s, auditlog.DefaultKeep, now); n != 0 || !errors.As(err, &broken) || broken.Seq != 3 {
			t.Errorf("%d rows went: %v", n, err)
		}
		rows, err := s.Chain(t.Context(), 0, 10)
		must(t, err)
		if len(rows) != 5 {
			t.Errorf("%d rows are left", len(rows))
		}
	})

	t.Run("many at once: those who remove, append and check", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t)
		now := time.Now()
		must(t, s.Append(t.Context(), aged(now, 500*day, 90)))
		ctx, stop := context.WithCancel(t.Context())
		var working, checking sync.WaitGroup
		var mu sync.Mutex
		removed := 0
		for range 3 {
			working.Go(func() {
				for range 4 {
					n, err := s.Trim(t.Context(), auditlog.Cut{Before: now.Add(-auditlog.DefaultKeep), Most: 10, Now: now})
					mu.Lock()
					removed += n
					mu.Unlock()
					if err != nil {
						t.Error(err)
					}
				}
			})
			working.Go(func() {
				for range 4 {
					if err := s.Append(t.Context(), aged(now, 0, 2)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		checking.Go(func() {
			for ctx.Err() == nil {
				if _, err := auditlog.Check(ctx, s); err != nil && ctx.Err() == nil {
					t.Errorf("meanwhile: %v", err)
				}
			}
		})
		working.Wait()
		stop()
		checking.Wait()
		if span, err := auditlog.Check(t.Context(), s); err != nil || removed != 90 || span.Base.Seq != 90 || span.End.Seq != 90+3*4*2+9 {
			t.Errorf("%d rows went, the log reaches over %+v: %v", removed, span, err)
		}
	})
}

// auditRefusals: nothing but whole old ends of the log go, whoever asks.
func auditRefusals(t *testing.T, open func(t *testing.T) (auditlog.Store, AuditHand)) {
	t.Run("nothing else is removed, whoever asks", func(t *testing.T) {
		t.Parallel()
		s, hand := open(t)
		now := time.Now()
		prunedLog(t, s, now)
		before, err := s.Chain(t.Context(), 0, 100)
		must(t, err)
		span, err := s.Extent(t.Context())
		must(t, err)
		for _, refused := range []string{
			`DELETE FROM audit_log`,
			`DELETE FROM audit_log WHERE seq = 9`,
			`DELETE FROM audit_log WHERE seq > 16`,
			`UPDATE audit_log SET reason = 'other' WHERE seq = 9`,
			`UPDATE audit_base SET seq = 7`,
			`UPDATE audit_base SET hash = (SELECT hash FROM audit_log WHERE seq = 9)`,
			`UPDATE audit_base SET seq = 10, hash = (SELECT hash FROM audit_log WHERE seq = 9)`,
			`UPDATE audit_base SET seq = 13, hash = (SELECT hash FROM audit_log WHERE seq = 13)`, // 100 days old
			`UPDATE audit_base SET seq = 1000`,
			`DELETE FROM audit_base`,
			`INSERT INTO audit_base (one, seq, hash) SELECT one, 12, hash FROM audit_base`,
		} {
			if err := hand.Do(refused); err == nil {
				t.Errorf("%s was allowed", refused)
			}
		}
		if n, err := s.Trim(t.Context(), auditlog.Cut{Before: now.Add(-time.Minute), Most: 100, Now: now}); n != 0 || err == nil {
			t.Errorf("young rows: %d went, %v", n, err)
		}
		after, err := s.Chain(t.Context(), 0, 100)
		must(t, err)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("rows changed:\n%s", diff)
		}
		if n, err := auditlog.Prune(t.Context(), s, auditlog.MinKeep-time.Second, now); n != 0 || !errors.Is(err, auditlog.ErrKeep) {
			t.Errorf("a retention of less than a year: %d went, %v", n, err)
		}
		if left, err := s.Extent(t.Context()); err != nil || left != span {
			t.Errorf("the log reaches over %+v, before it was %+v: %v", left, span, err)
		}
	})
}

// auditTampering: what is done by force is found.
func auditTampering(t *testing.T, open func(t *testing.T) (auditlog.Store, AuditHand)) {
	const columns = `at, actor, role, action, subject, reason, authorised_by, phone_hmac, network, device_hash, request_id, details, hash`
	for name, statements := range map[string][]string{
		"nothing":                        nil, // the control
		"a row changed":                  {`UPDATE audit_log SET reason = 'other' WHERE seq = 11`},
		"the first row changed":          {`UPDATE audit_log SET actor = 'other' WHERE seq = 9`},
		"a row removed":                  {`DELETE FROM audit_log WHERE seq = 11`},
		"the first row removed":          {`DELETE FROM audit_log WHERE seq = 9`},
		"the last row removed":           {`DELETE FROM audit_log WHERE seq = 17`},
		"a row put before the base":      {`INSERT INTO audit_log (seq, ` + columns + `) SELECT 8, ` + columns + ` FROM audit_log WHERE seq = 9`},
		"the base's hash changed":        {`UPDATE audit_base SET hash = (SELECT hash FROM audit_log WHERE seq = 9)`},
		"the base lowered":               {`UPDATE audit_base SET seq = 7`},
		"the base raised":                {`UPDATE audit_base SET seq = 11`},
		"the base of a log that has all": {`UPDATE audit_base SET seq = 0`},
		"rows removed with a base that fits": {
			`UPDATE audit_base SET seq = 14, hash = (SELECT hash FROM audit_log WHERE seq = 14)`, `DELETE FROM audit_log WHERE seq <= 14`,
		},
		"what says so removed too": {
			`UPDATE audit_base SET seq = 17, hash = (SELECT hash FROM audit_log WHERE seq = 17)`, `DELETE FROM audit_log`,
		},
		"the head's hash changed": {`UPDATE audit_head SET hash = (SELECT hash FROM audit_log WHERE seq = 16)`},
		"the head lowered":        {`UPDATE audit_head SET seq = 16`},
	} {
		t.Run("found by the check: "+name, func(t *testing.T) {
			t.Parallel()
			s, hand := open(t)
			prunedLog(t, s, time.Now())
			hand.Unguard()
			for _, done := range statements {
				must(t, hand.Do(done))
			}
			span, err := auditlog.Check(t.Context(), s)
			var broken *auditlog.BrokenError
			if found := errors.As(err, &broken); found != (statements != nil) || !found && err != nil {
				t.Errorf("over %+v: %v", span, err)
			}
		})
	}
}
