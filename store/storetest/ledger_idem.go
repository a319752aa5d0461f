package storetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
)

func ledgerReplayed(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	reply := `{"z":1,  "a":[1.50]}` // kept byte for byte
	first := l.step(a, withCommand("user", "key", "h", reply), withEvents(l.event("moved", "u")))
	l.want(t, l.commit(t, first), ledger.Committed)
	a.version++
	before := l.trace(t, a.ref, "u")
	l.claim(t, a)
	current := l.step(a, withCommand("user", "key", "h", `{"second":true}`), withEvents(l.event("never", "u")), withState("status", "never"))
	// Whether it comes again as it was, with the old version, or decided anew on the new one.
	for _, again := range []ledger.Transition{first, current} {
		o := l.commit(t, again)
		l.want(t, o, ledger.Replayed)
		if string(o.Reply) != reply {
			t.Errorf("replayed %s, want %s", o.Reply, reply)
		}
	}
	if diff := cmp.Diff(before, l.trace(t, a.ref, "u")); diff != "" {
		t.Errorf("a replay changed something:\n%s", diff)
	}
	// Same key of somebody else, other key of the same: new commands.
	l.claim(t, a)
	l.must(t, a, withCommand("other", "key", "h", "1"))
	l.must(t, a, withCommand("user", "other", "h", "1"))
	// A command without a reply replays none.
	l.must(t, a, func(tr *ledger.Transition) { tr.Idem = &ledger.Idem{Scope: "user", Key: "silent", Hash: "h"} })
	o := l.commit(t, l.step(a, withCommand("user", "silent", "h", "1")))
	l.want(t, o, ledger.Replayed)
	if o.Reply != nil {
		t.Errorf("replayed %s of a command without reply", o.Reply)
	}
}

func ledgerMismatched(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	l.must(t, a, withCommand("user", "key", "h", "1"))
	before := l.trace(t, a.ref, "u")
	l.claim(t, a)
	o := l.commit(t, l.step(a, withCommand("user", "key", "other", "2"), withEvents(l.event("never", "u"))))
	l.want(t, o, ledger.Mismatched)
	if o.Reply != nil {
		t.Errorf("a mismatch gave away the first reply: %s", o.Reply)
	}
	if diff := cmp.Diff(before, l.trace(t, a.ref, "u")); diff != "" {
		t.Errorf("a mismatch changed something:\n%s", diff)
	}
}

// ledgerUsed: what a command id was used for can be read without writing.
func ledgerUsed(t *testing.T, l *ledgerTest) {
	a := l.owned(t)
	reply := `{"z":1,  "a":[1.50]}`
	l.must(t, a, withCommand("user", "key", "h", reply))
	l.must(t, a, func(tr *ledger.Transition) { tr.Idem = &ledger.Idem{Scope: "user", Key: "silent", Hash: "h2"} })
	stale := l.step(a, withCommand("user", "refused", "h", "1"))
	stale.Version--
	l.want(t, l.commit(t, stale), ledger.Moved)
	for _, test := range []struct {
		scope, key string
		want       ledger.Idem
		ok         bool
	}{
		{"user", "key", ledger.Idem{Scope: "user", Key: "key", Hash: "h", Reply: []byte(reply)}, true},
		{"user", "silent", ledger.Idem{Scope: "user", Key: "silent", Hash: "h2"}, true},
		{"user", "refused", ledger.Idem{}, false},
		{"other", "key", ledger.Idem{}, false},
		{"user", "KEY", ledger.Idem{}, false},
	} {
		got, ok, err := l.Replies.Used(t.Context(), test.scope, test.key)
		if diff := cmp.Diff(test.want, got); err != nil || ok != test.ok || diff != "" {
			t.Errorf("%s of %s: found %v, %v\n%s", test.key, test.scope, ok, err, diff)
		}
	}
}

// ledgerReplayedBirth: a retried creation decides on a new id, and still gets the first reply.
func ledgerReplayedBirth(t *testing.T, l *ledgerTest) {
	first := l.born(t, withCommand("user", "create", "h", `{"id":1}`), withState("driverId", "d1"))
	second := newTrip()
	o := l.commit(t, l.step(second, withCommand("user", "create", "h", `{"id":2}`), withState("driverId", "d1")))
	l.want(t, o, ledger.Replayed)
	if string(o.Reply) != `{"id":1}` {
		t.Errorf("replayed %s", o.Reply)
	}
	l.want(t, l.commit(t, l.step(&aggregate{ref: second.ref, version: 1})), ledger.Missing)
	l.claim(t, first)
}

// ledgerSameCommandAtOnce: the same key on two aggregates, from two callers: one effect.
func ledgerSameCommandAtOnce(t *testing.T, l *ledgerTest) {
	for round := range 10 {
		key := fmt.Sprint("key", round)
		outcomes := make([]ledger.Outcome, 6)
		var racers sync.WaitGroup
		for i := range outcomes {
			a := newTrip()
			if i%2 == 0 {
				a = l.owned(t)
			}
			racers.Go(func() {
				outcomes[i] = l.commit(t, l.step(a, withCommand("user", key, "h", fmt.Sprint(i)), withEvents(l.event("effect", "u"))))
			})
		}
		racers.Wait()
		if won, lost := count(outcomes, ledger.Committed), count(outcomes, ledger.Replayed); won != 1 || lost != 5 {
			t.Fatalf("outcomes %v, want one committed and five replayed", statuses(outcomes))
		}
		for _, o := range outcomes {
			if o.Status == ledger.Replayed && outcomes[winner(o)].Status != ledger.Committed {
				t.Errorf("replayed the reply %s, which is not the winner's", o.Reply)
			}
		}
	}
	if head, err := l.Inbox.Head(t.Context(), "u"); err != nil || head != 10 {
		t.Errorf("ten commands had %d effects (%v)", head, err)
	}
}

// winner reads the index that a reply of ledgerSameCommandAtOnce names.
func winner(o ledger.Outcome) int {
	var i int
	_, _ = fmt.Sscan(string(o.Reply), &i)
	return i
}
