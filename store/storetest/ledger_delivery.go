package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
)

func ledgerTimers(t *testing.T, l *ledgerTest) {
	due := func(before time.Time) []string {
		t.Helper()
		timers, err := l.Timers.Overdue(t.Context(), before, ledger.Timer{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, timer := range timers {
			names = append(names, fmt.Sprintf("%s#%d@%v", timer.Name, timer.Number, timer.Due.Sub(at)))
		}
		return names
	}
	a := l.owned(t, withTimers(ledger.TimerChange{Name: "accept", Due: at.Add(45 * time.Second), Number: 1},
		ledger.TimerChange{Name: "silence", Due: at.Add(time.Hour), Number: 1}))
	for _, test := range []struct {
		what   string
		change []ledger.TimerChange
		before time.Time
		want   []string
	}{
		{"not due yet", nil, at.Add(45*time.Second - time.Microsecond), nil},
		{"due at its instant", nil, at.Add(45 * time.Second), []string{"accept#1@45s"}},
		{"moved", []ledger.TimerChange{{Name: "accept", Due: at.Add(2 * time.Hour), Number: 2}}, at.Add(90 * time.Minute), []string{"silence#1@1h0m0s"}},
		{"oldest first", nil, at.Add(3 * time.Hour), []string{"silence#1@1h0m0s", "accept#2@2h0m0s"}},
		{"cancelled, another armed", []ledger.TimerChange{{Name: "silence"}, {Name: "third", Due: at, Number: 7}}, at.Add(3 * time.Hour), []string{"third#7@0s", "accept#2@2h0m0s"}},
		{"cancel of none is no error", []ledger.TimerChange{{Name: "silence"}}, at, []string{"third#7@0s"}},
	} {
		l.must(t, a, withTimers(test.change...))
		if diff := cmp.Diff(test.want, due(test.before)); diff != "" {
			t.Errorf("%s:\n%s", test.what, diff)
		}
	}
	// Of another aggregate, the same name is another timer; the limit holds.
	b := l.owned(t, withTimers(ledger.TimerChange{Name: "third", Due: at.Add(-time.Second), Number: 1}))
	timers, err := l.Timers.Overdue(t.Context(), at, ledger.Timer{}, 1)
	if err != nil || len(timers) != 1 || timers[0].Ref != b.ref {
		t.Errorf("overdue with limit 1: %v (%v)", timers, err)
	}
	// Page by page each comes once, those that are due at one instant too.
	l.must(t, b, withTimers(ledger.TimerChange{Name: "another", Due: at, Number: 1}, ledger.TimerChange{Name: "fourth", Due: at, Number: 1}))
	seen := map[string]bool{}
	var after ledger.Timer
	for range 5 {
		page, err := l.Timers.Overdue(t.Context(), at.Add(3*time.Hour), after, 1)
		if err != nil || len(page) != 1 || page[0].Due.Before(after.Due) {
			t.Fatalf("the page after %v: %v (%v)", after, page, err)
		}
		after = page[0]
		seen[after.Ref.ID+after.Name] = true
	}
	if rest, err := l.Timers.Overdue(t.Context(), at.Add(3*time.Hour), after, 1); err != nil || len(rest) != 0 || len(seen) != 5 {
		t.Errorf("pages gave %v, then %v (%v)", seen, rest, err)
	}
}

func ids(ps []ledger.Pending) []string {
	names := []string{}
	for _, p := range ps {
		names = append(names, p.ID)
	}
	slices.Sort(names)
	return names
}

func ledgerOutbox(t *testing.T, l *ledgerTest) {
	message := func(id, channel string) ledger.Message {
		return ledger.Message{ID: id, Channel: channel, To: "order/o1", Type: "DriverAccepted", Body: []byte(`{"a":  1}`)}
	}
	later := message("later", "actor")
	later.NotBefore = at.Add(2 * time.Second)
	l.owned(t, withMessages(message("one", "actor"), message("sms", "sms"), later))
	take := func(now time.Time, limit int, channels ...string) []ledger.Pending {
		t.Helper()
		ps, err := l.Outbox.Take(t.Context(), channels, now, 30*time.Second, limit)
		if err != nil {
			t.Fatal(err)
		}
		return ps
	}
	if got := take(at.Add(-time.Second), 10, "actor", "sms"); len(got) != 0 {
		t.Errorf("taken before its time: %v", got)
	}
	got := take(at, 10, "actor")
	want := []ledger.Pending{{Message: message("one", "actor")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("taken:\n%s", diff)
	}
	if got := ids(take(at.Add(29*time.Second), 10, "actor")); !slices.Equal(got, []string{"later"}) {
		t.Errorf("under lease, and after NotBefore: %v", got)
	}
	if got := take(at.Add(30*time.Second), 10, "actor"); len(got) != 1 || got[0].Attempts != 1 {
		t.Errorf("a lease that ran out: %+v", got)
	}
	settle := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	settle(l.Outbox.Later(t.Context(), "one", at.Add(time.Hour)))
	settle(l.Outbox.Done(t.Context(), "later"))
	if got := take(at.Add(time.Hour-time.Microsecond), 10, "actor"); len(got) != 0 {
		t.Errorf("taken before later: %v", got)
	}
	if got := ids(take(at.Add(time.Hour), 10, "actor", "sms")); !slices.Equal(got, []string{"one", "sms"}) {
		t.Errorf("at last: %v", got)
	}
	settle(l.Outbox.Done(t.Context(), "one"))
	settle(l.Outbox.Done(t.Context(), "one"))
	settle(l.Outbox.Later(t.Context(), "one", at))
	if got := ids(take(at.Add(48*time.Hour), 10, "actor")); len(got) != 0 {
		t.Errorf("a message that was done came back: %v", got)
	}
	if got := take(at.Add(48*time.Hour), 10); len(got) != 0 {
		t.Errorf("no channels, yet %v", got)
	}
}

func ledgerOutboxDeadline(t *testing.T, l *ledgerTest) {
	m := ledger.Message{ID: "otp", Channel: "sms", To: "x", Type: "otp", Body: []byte(`{}`), Deadline: at.Add(time.Minute)}
	l.owned(t, withMessages(m))
	in := func(d time.Duration) []ledger.Pending {
		t.Helper()
		ps, err := l.Outbox.Take(t.Context(), []string{"sms"}, at.Add(d), time.Second, 10)
		if err != nil {
			t.Fatal(err)
		}
		return ps
	}
	if got := in(time.Minute - time.Microsecond); len(got) != 1 || !got[0].Deadline.Equal(m.Deadline) {
		t.Errorf("before its deadline: %v", got)
	}
	if got := in(time.Minute + 2*time.Second); len(got) != 0 {
		t.Errorf("sent late: %v", got)
	}
	if got := in(0); len(got) != 0 {
		t.Errorf("past its deadline and still kept: %v", got)
	}
}

// ledgerOutboxExclusive: two relays never hold one message, and together they get all.
func ledgerOutboxExclusive(t *testing.T, l *ledgerTest) {
	const total = 60
	for i := range total / 10 {
		var ms []ledger.Message
		for j := range 10 {
			ms = append(ms, ledger.Message{ID: fmt.Sprintf("m%02d", i*10+j), Channel: "actor", To: "x", Type: "x", Body: []byte("{}")})
		}
		l.owned(t, withMessages(ms...))
	}
	var mu sync.Mutex
	taken := make(map[string]int)
	var relays sync.WaitGroup
	for range 4 {
		relays.Go(func() {
			for range total {
				ps, err := l.Outbox.Take(t.Context(), []string{"actor"}, at, time.Minute, 7)
				if err != nil {
					t.Error(err)
					return
				}
				if len(ps) > 7 {
					t.Errorf("took %d, limit 7", len(ps))
				}
				mu.Lock()
				for _, p := range ps {
					taken[p.ID]++
				}
				done := len(taken) == total
				mu.Unlock()
				if done {
					return
				}
			}
		})
	}
	relays.Wait()
	for id, n := range taken {
		if n != 1 {
			t.Errorf("%s was taken %d times", id, n)
		}
	}
	if len(taken) != total {
		t.Errorf("%d of %d messages were taken", len(taken), total)
	}
}

func ledgerRetention(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	ages := []time.Duration{0, -23 * time.Hour, -25 * time.Hour, -71 * time.Hour, -73 * time.Hour}
	slices.Reverse(ages)
	for i, age := range ages {
		l.must(t, a, withEvents(l.event("old", "u")), withCommand("s", fmt.Sprint("k", i), "h", "1"),
			func(tr *ledger.Transition) { tr.At = at.Add(age) })
	}
	pruned, err := l.Pruner.Prune(t.Context(), at, ledger.Retention{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ledger.Pruned{Inbox: 3, Idem: 1}, pruned); diff != "" {
		t.Errorf("pruned:\n%s", diff)
	}
	entries, err := l.Inbox.Read(t.Context(), "u", 1, 10)
	if err != nil || len(entries) != 2 || entries[0].Seq != 4 {
		t.Errorf("left in the inbox: %v (%v), want 4 and 5", entries, err)
	}
	// Numbers go on, the history stays, a command older than the retention is new again.
	o := l.must(t, a, withEvents(l.event("new", "u")), withCommand("s", "k0", "other", "2"))
	if o.Numbers[0].Seq != 6 {
		t.Errorf("the next number is %d, want 6", o.Numbers[0].Seq)
	}
	l.want(t, l.commit(t, l.step(a, withCommand("s", "k1", "h", "2"))), ledger.Replayed)
	if events, err := l.History.Events(t.Context(), a.ref, 0, 100); err != nil || len(events) != 6 {
		t.Errorf("history holds %d events (%v), want 6", len(events), err)
	}
	pruned, err = l.Pruner.Prune(t.Context(), at, ledger.Retention{Inbox: time.Hour, Idem: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ledger.Pruned{Inbox: 1, Idem: 3}, pruned); diff != "" {
		t.Errorf("pruned with an hour:\n%s", diff)
	}
}
