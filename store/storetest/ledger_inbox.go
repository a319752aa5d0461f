package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
)

// ledgerInboxNumbers: numbers follow (aggregate id, version, ordinal) and count from one, by recipient.
func ledgerInboxNumbers(t *testing.T, l *ledgerTest) {
	a, b := l.owned(t), l.owned(t)
	if a.ref.ID > b.ref.ID {
		a, b = b, a
	}
	ts := []ledger.Transition{ // the later id first: the order of the call does not matter
		l.step(b, withEvents(l.event("b0", "u", "v"), l.event("b1", "u"))),
		l.step(a, withEvents(l.event("a0", "v", "u", "v", ""), l.event("a1"), l.event("a2", "u"))),
	}
	outcomes := l.Writer.Commit(t.Context(), ts)
	want := []ledger.Outcome{
		{Status: ledger.Committed, Numbers: []ledger.Number{{Event: 0, Recipient: "u", Seq: 3}, {Event: 0, Recipient: "v", Seq: 2}, {Event: 1, Recipient: "u", Seq: 4}}},
		{Status: ledger.Committed, Numbers: []ledger.Number{{Event: 0, Recipient: "v", Seq: 1}, {Event: 0, Recipient: "u", Seq: 1}, {Event: 2, Recipient: "u", Seq: 2}}},
	}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Fatalf("numbers differ:\n%s", diff)
	}
	for recipient, types := range map[string][]string{"u": {"a0", "a2", "b0", "b1"}, "v": {"a0", "b0"}, "w": nil} {
		entries, err := l.Inbox.Read(t.Context(), recipient, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, e := range entries {
			got = append(got, e.Event.Type)
			if e.Seq != int64(i+1) {
				t.Errorf("entry %d of %s has number %d", i, recipient, e.Seq)
			}
		}
		if diff := cmp.Diff(types, got); diff != "" {
			t.Errorf("inbox of %s:\n%s", recipient, diff)
		}
		head, err := l.Inbox.Head(t.Context(), recipient)
		if err != nil || head != int64(len(types)) {
			t.Errorf("head of %s is %d (%v), want %d", recipient, head, err, len(types))
		}
	}
}

// ledgerInboxConcurrent: writers on many aggregates share recipients, in orders that would deadlock
// if heads were locked as they come, while readers look: what they see is always a dense beginning.
func ledgerInboxConcurrent(t *testing.T, l *ledgerTest) {
	const writers, steps = 8, 15
	recipients := []string{"r0", "r1", "r2", "r3"}
	trips := make([]*aggregate, writers)
	for i := range trips {
		trips[i] = l.owned(t)
	}
	var wg sync.WaitGroup
	reading, stop := context.WithCancel(t.Context())
	defer stop()
	progress := make(chan struct{}, 2) // readers look after commits, not all the time
	for _, r := range recipients[:2] {
		wg.Go(func() {
			for seen := 0; ; {
				select {
				case <-reading.Done():
					return
				case <-progress:
				}
				entries, err := l.Inbox.Read(t.Context(), r, 1, 10000)
				if err != nil {
					t.Error(err)
					return
				}
				dense(t, r, entries)
				if len(entries) < seen {
					t.Errorf("inbox of %s shrank from %d to %d", r, seen, len(entries))
				}
				seen = len(entries)
			}
		})
	}
	var writing sync.WaitGroup
	for w, a := range trips {
		writing.Go(func() {
			for n := range steps {
				first, second := recipients[(w+n)%4], recipients[(w+3*n+1)%4]
				tr := l.step(a, withEvents(l.event(fmt.Sprintf("%d.%d", w, n), first, second), l.event("x", second, first)))
				tr.Contended = (w+n)%3 == 0 // both lanes at once
				o := l.commit(t, tr)
				if o.Status != ledger.Committed {
					t.Errorf("writer %d step %d: %v (%v)", w, n, o.Status, o.Err)
					return
				}
				a.version++
				select {
				case progress <- struct{}{}:
				default:
				}
			}
		})
	}
	writing.Wait()
	stop()
	wg.Wait()
	total := 0
	for _, r := range recipients {
		entries, err := l.Inbox.Read(t.Context(), r, 1, 10000)
		if err != nil {
			t.Fatal(err)
		}
		dense(t, r, entries)
		total += len(entries)
		// One aggregate's events keep their order.
		last := make(map[string]int)
		for _, e := range entries {
			var w, n int
			if _, err := fmt.Sscanf(e.Event.Type, "%d.%d", &w, &n); err != nil {
				continue
			}
			if before, ok := last[fmt.Sprint(w)]; ok && before >= n {
				t.Errorf("inbox of %s has step %d of writer %d after %d", r, n, w, before)
			}
			last[fmt.Sprint(w)] = n
		}
	}
	// (w+n)%4 and (w+3n+1)%4 are equal when 2n+1 is a multiple of 4, which never is: two each.
	if want := writers * steps * 4; total != want {
		t.Errorf("%d entries, want %d", total, want)
	}
}

func dense(t *testing.T, recipient string, entries []ledger.InboxEntry) {
	t.Helper()
	for i, e := range entries {
		if e.Seq != int64(i+1) {
			t.Errorf("entry %d of %s has number %d: a gap became visible", i+1, recipient, e.Seq)
			return
		}
	}
}

func ledgerInboxReads(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	for range 6 {
		l.must(t, a, withEvents(l.event("moved", "u")))
	}
	for _, test := range []struct {
		from  int64
		limit int
		want  []int64
	}{
		{0, 100, []int64{1, 2, 3, 4, 5, 6}}, {4, 100, []int64{4, 5, 6}}, {2, 3, []int64{2, 3, 4}}, {7, 100, nil}, {-5, 1, []int64{1}},
	} {
		entries, err := l.Inbox.Read(t.Context(), "u", test.from, test.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, e := range entries {
			got = append(got, e.Seq)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("from %d limit %d:\n%s", test.from, test.limit, diff)
		}
	}
	one, err := l.Inbox.Stream(t.Context())
	if err != nil || len(one) < 16 {
		t.Errorf("stream is %q (%v)", one, err)
	}
	if two, err := l.Inbox.Stream(t.Context()); err != nil || two != one {
		t.Errorf("stream changed from %q to %q (%v)", one, two, err)
	}
}

func ledgerHistory(t *testing.T, l *ledgerTest) {
	a, other := l.owned(t), l.owned(t)
	e := l.event("trip_status", "u")
	e.PayloadVersion, e.TripID, e.OrderID = 3, a.ref.ID, "o1"
	l.must(t, a, withEvents(e, l.event("second")))
	l.must(t, a)
	l.must(t, a, withEvents(l.event("third")))
	l.must(t, other, withEvents(l.event("foreign")))
	e.Recipients = nil
	recorded, err := l.History.Events(t.Context(), a.ref, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(recorded) != 3 {
		t.Fatalf("%d events, want 3: %v", len(recorded), recorded)
	}
	if diff := cmp.Diff(ledger.Recorded{Version: 2, Ordinal: 0, Event: e}, recorded[0]); diff != "" {
		t.Errorf("first event:\n%s", diff)
	}
	rest, err := l.History.Events(t.Context(), a.ref, 2, 100)
	if err != nil || len(rest) != 1 || rest[0].Version != 4 {
		t.Errorf("after version 2: %v (%v)", rest, err)
	}
	limited, err := l.History.Events(t.Context(), a.ref, 0, 2)
	if err != nil || len(limited) != 2 || limited[1].Ordinal != 1 {
		t.Errorf("limit 2: %v (%v)", limited, err)
	}
}
