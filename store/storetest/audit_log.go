package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/auditlog"
)

// AuditLog is the conformance suite of auditlog.Store. open gives an empty log and a way to run a
// statement as somebody with the database's password would.
func AuditLog(t *testing.T, open func(t *testing.T) (auditlog.Store, func(statement string) error)) {
	t.Helper()
	entry := func(n int) auditlog.Entry {
		return auditlog.Entry{
			At: time.Date(2026, 11, 24, 10, 0, n, 123_456_000, time.UTC), Actor: fmt.Sprint("o", n%2), Role: "ops", Action: auditlog.UserSuspended,
			Subject: fmt.Sprint("user:", n%3), Reason: "unpaid dues, “twice” 💸\nsecond line", AuthorisedBy: "t1", PhoneHMAC: "k:ab", Network: "203.0.113.0/24",
			DeviceHash: "k:cd", RequestID: fmt.Sprint("req-", n), Details: `{"n": 1,  "spaces":"kept"}`,
		}
	}

	t.Run("rows come back as they were written, and the chain holds", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t)
		span, err := s.Extent(t.Context())
		if err != nil || span != (auditlog.Extent{}) {
			t.Fatalf("an empty log reaches over %v, %v", span, err)
		}
		var entries []auditlog.Entry
		for n := range 7 {
			entries = append(entries, entry(n))
		}
		must(t, s.Append(t.Context(), entries[:3]))
		must(t, s.Append(t.Context(), nil))
		must(t, s.Append(t.Context(), entries[3:]))
		rows, err := s.Chain(t.Context(), 0, 100)
		must(t, err)
		if diff := cmp.Diff(auditlog.Seal(auditlog.Head{}, entries), rows); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		span, err = auditlog.Check(t.Context(), s)
		if err != nil || span.End.Seq != 7 {
			t.Errorf("the chain ends at %d: %v", span.End.Seq, err)
		}
	})

	t.Run("a query reads the newest first and goes on from a number", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t)
		for n := range 9 {
			e := entry(n)
			if n == 4 {
				e.Action = auditlog.KYCSet
			}
			must(t, s.Append(t.Context(), []auditlog.Entry{e}))
		}
		for name, c := range map[string]struct {
			q    auditlog.Query
			want []int64
		}{
			"all":              {auditlog.Query{Limit: 3}, []int64{9, 8, 7}},
			"the next page":    {auditlog.Query{Limit: 3, Before: 7}, []int64{6, 5, 4}},
			"of a subject":     {auditlog.Query{Limit: 10, Subject: "user:1"}, []int64{8, 5, 2}},
			"by an actor":      {auditlog.Query{Limit: 10, Actor: "o1", Before: 8}, []int64{6, 4, 2}},
			"one action":       {auditlog.Query{Limit: 10, Action: auditlog.KYCSet}, []int64{5}},
			"several at once":  {auditlog.Query{Limit: 10, Action: auditlog.UserSuspended, Subject: "user:1", Actor: "o1"}, []int64{8, 2}},
			"nothing is there": {auditlog.Query{Limit: 10, Subject: "user:' OR 1=1 --"}, nil},
		} {
			rows, err := s.Rows(t.Context(), c.q)
			must(t, err)
			var got []int64
			for _, r := range rows {
				got = append(got, r.Seq)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})

	t.Run("many at once make one chain, each batch in one piece", func(t *testing.T) {
		t.Parallel()
		s, _ := open(t)
		const writers, batches, size = 8, 6, 3
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for b := range batches {
					var entries []auditlog.Entry
					for range size {
						e := entry(b)
						e.RequestID = fmt.Sprint(w, "/", b)
						entries = append(entries, e)
					}
					if err := s.Append(t.Context(), entries); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		span, err := auditlog.Check(t.Context(), s)
		if err != nil || span.End.Seq != writers*batches*size {
			t.Fatalf("the chain ends at %d, want %d: %v", span.End.Seq, writers*batches*size, err)
		}
		rows, err := s.Chain(t.Context(), 0, auditlog.MaxPage)
		must(t, err)
		for i := 0; i < len(rows); i += size {
			if rows[i].RequestID != rows[i+size-1].RequestID {
				t.Errorf("a batch was split at row %d", rows[i].Seq)
			}
		}
	})

	t.Run("nothing is changed or removed, and what is done by force is found", func(t *testing.T) {
		t.Parallel()
		s, statement := open(t)
		must(t, s.Append(t.Context(), []auditlog.Entry{entry(1), entry(2), entry(3)}))
		before, err := s.Chain(t.Context(), 0, 10)
		must(t, err)
		for _, refused := range []string{
			`UPDATE audit_log SET reason = 'other' WHERE seq = 2`,
			`DELETE FROM audit_log WHERE seq = 3`,
			`DELETE FROM audit_log`,
		} {
			if err := statement(refused); err == nil {
				t.Errorf("%s was allowed", refused)
			}
		}
		after, err := s.Chain(t.Context(), 0, 10)
		must(t, err)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("rows changed:\n%s", diff)
		}
		must(t, statement(`UPDATE audit_head SET seq = 4`)) // as if a fourth row had been cut off
		var broken *auditlog.BrokenError
		if _, err := auditlog.Check(t.Context(), s); !errors.As(err, &broken) || broken.Seq != 4 {
			t.Errorf("a row that is missing at the end: %v", err)
		}
	})
}
