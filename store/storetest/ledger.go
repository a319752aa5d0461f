package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"weelo/internal/ledger"
)

// LedgerBackend is one fresh, empty ledger.
type LedgerBackend struct {
	Writer     ledger.Writer
	Joint      ledger.JointWriter
	Claimer    ledger.Claimer
	Timers     ledger.Timers
	Outbox     ledger.Outbox
	Inbox      ledger.Inbox
	History    ledger.History
	Quarantine interface {
		ledger.Quarantine
		ledger.QuarantineDesk
	}
	Replies ledger.Replies
	Pruner  ledger.Pruner
	Offers  ledger.Offers
}

// Ledger proves the invariants of internal/ledger on a backend. open is called for each test.
func Ledger(t *testing.T, open func(t *testing.T) LedgerBackend) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*testing.T, *ledgerTest)
	}{
		{"Birth", ledgerBirth},
		{"Transition", ledgerTransition},
		{"StaleVersionMoved", ledgerStaleVersion},
		{"StaleEpochFenced", ledgerStaleEpoch},
		{"UnclaimedCannotWrite", ledgerUnclaimed},
		{"ClaimLoadsAndFences", ledgerClaim},
		{"Missing", ledgerMissing},
		{"Malformed", ledgerMalformed},
		{"Replayed", ledgerReplayed},
		{"Mismatched", ledgerMismatched},
		{"UsedCommands", ledgerUsed},
		{"ReplayedBirth", ledgerReplayedBirth},
		{"SameCommandAtOnce", ledgerSameCommandAtOnce},
		{"Taken", ledgerTaken},
		{"TakenLeavesNeighboursAlone", ledgerTakenNeighbours},
		{"AllOrNothing", ledgerAllOrNothing},
		{"MixedBatch", ledgerMixedBatch},
		{"BatchOf256", ledgerFullBatch},
		{"OneWinner", ledgerOneWinner},
		{"Cancellation", ledgerCancellation},
		{"OddText", ledgerOddText},
		{"Timers", ledgerTimers},
		{"Outbox", ledgerOutbox},
		{"OutboxDeadline", ledgerOutboxDeadline},
		{"OutboxLeaseIsExclusive", ledgerOutboxExclusive},
		{"InboxNumbers", ledgerInboxNumbers},
		{"InboxConcurrent", ledgerInboxConcurrent},
		{"InboxReads", ledgerInboxReads},
		{"History", ledgerHistory},
		{"Quarantine", ledgerQuarantine},
		{"QuarantineRelease", quarantineRelease},
		{"QuarantineLetter", quarantineLetter},
		{"QuarantineTimer", quarantineTimer},
		{"QuarantineTimerArmedAgain", quarantineTimerArmedAgain},
		{"QuarantineWholeActor", quarantineWholeActor},
		{"QuarantineList", quarantineList},
		{"QuarantineRetention", quarantineRetention},
		{"QuarantineAtOnce", quarantineAtOnce},
		{"Retention", ledgerRetention},
		{"Joint", jointConfirm},
		{"JointAllOrNone", jointAllOrNone},
		{"JointBelongings", jointBelongings},
		{"JointMalformed", jointMalformed},
		{"JointReplayed", jointReplayed},
		{"JointSameCommandAtOnce", jointSameCommandAtOnce},
		{"JointOneWinner", jointOneWinner},
		{"JointLargest", jointLargest},
		{"Offers", offersChange},
		{"OffersCloseAll", offersCloseAll},
		{"OffersRefused", offersRefused},
		{"OffersMalformed", offersMalformed},
		{"OffersInOneBatch", offersInOneBatch},
		{"OffersTogether", offersTogether},
		{"OffersRead", offersRead},
		{"OfferReceipts", offerReceipts},
		{"OfferTally", offerTally},
		{"OfferReceiptsAtOnce", offerReceiptsAtOnce},
		{"OfferRetention", offerRetention},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, &ledgerTest{LedgerBackend: open(t)})
		})
	}
}

// ledgerTest is a backend with the words the tests are written in.
type ledgerTest struct {
	LedgerBackend
	ids atomic.Int64
}

// at is the moment the tests take place. Stores keep microseconds.
var at = time.Date(2026, 11, 24, 6, 30, 0, 123456000, time.UTC)

// aggregate is what a writer knows of a row.
type aggregate struct {
	ref     ledger.Ref
	version int64
	epoch   int64
}

func newTrip() *aggregate {
	return &aggregate{ref: ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}}
}

// tripState is a snapshot with the keys that the store's columns are generated from.
func tripState(fields ...any) json.RawMessage {
	state := map[string]any{"status": "pending", "live": true}
	for i := 0; i < len(fields); i += 2 {
		state[fields[i].(string)] = fields[i+1]
	}
	raw, err := json.Marshal(state)
	if err != nil {
		panic(err)
	}
	return raw
}

// step is a transition of a at what is known of it; change may alter it.
func (l *ledgerTest) step(a *aggregate, change ...func(*ledger.Transition)) ledger.Transition {
	t := ledger.Transition{Ref: a.ref, Version: a.version, Epoch: a.epoch, State: tripState("n", a.version+1), At: at}
	for _, c := range change {
		c(&t)
	}
	return t
}

// event is one event for some recipients.
func (l *ledgerTest) event(kind string, recipients ...string) ledger.Event {
	n := l.ids.Add(1)
	return ledger.Event{ID: fmt.Sprintf("e%d", n), Type: kind, PayloadVersion: 1, At: at, Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)), Recipients: recipients}
}

func withEvents(es ...ledger.Event) func(*ledger.Transition) {
	return func(t *ledger.Transition) { t.Events = es }
}

func withState(fields ...any) func(*ledger.Transition) {
	return func(t *ledger.Transition) { t.State = tripState(fields...) }
}

func withCommand(scope, key, hash, reply string) func(*ledger.Transition) {
	return func(t *ledger.Transition) {
		t.Idem = &ledger.Idem{Scope: scope, Key: key, Hash: hash, Reply: json.RawMessage(reply)}
	}
}

func withTimers(cs ...ledger.TimerChange) func(*ledger.Transition) {
	return func(t *ledger.Transition) { t.Timers = cs }
}

func withMessages(ms ...ledger.Message) func(*ledger.Transition) {
	return func(t *ledger.Transition) { t.Outbox = ms }
}

// commit writes one transition and gives its outcome.
func (l *ledgerTest) commit(t *testing.T, tr ledger.Transition) ledger.Outcome {
	t.Helper()
	outcomes := l.Writer.Commit(t.Context(), []ledger.Transition{tr})
	if len(outcomes) != 1 {
		t.Fatalf("one transition got %d outcomes", len(outcomes))
	}
	return outcomes[0]
}

// must writes one transition of a, which must be committed, and follows its version.
func (l *ledgerTest) must(t *testing.T, a *aggregate, change ...func(*ledger.Transition)) ledger.Outcome {
	t.Helper()
	o := l.commit(t, l.step(a, change...))
	l.want(t, o, ledger.Committed)
	a.version++
	return o
}

func (l *ledgerTest) want(t *testing.T, o ledger.Outcome, s ledger.Status) {
	t.Helper()
	if o.Status != s {
		t.Fatalf("outcome is %v (%v), want %v", o.Status, o.Err, s)
	}
}

// born is a trip at version 1, claimed by nobody.
func (l *ledgerTest) born(t *testing.T, change ...func(*ledger.Transition)) *aggregate {
	t.Helper()
	a := newTrip()
	l.must(t, a, change...)
	return a
}

// owned is a trip at version 1, claimed once.
func (l *ledgerTest) owned(t *testing.T, change ...func(*ledger.Transition)) *aggregate {
	t.Helper()
	a := l.born(t, change...)
	l.claim(t, a)
	return a
}

func (l *ledgerTest) claim(t *testing.T, a *aggregate) ledger.Claimed {
	t.Helper()
	c, err := l.Claimer.Claim(t.Context(), a.ref, "node-1")
	if err != nil {
		t.Fatal(err)
	}
	a.version, a.epoch = c.Version, c.Epoch
	return c
}

// trace is everything durable about an aggregate, to compare before and after a refusal. It claims,
// so epochs are left out.
func (l *ledgerTest) trace(t *testing.T, ref ledger.Ref, recipients ...string) string {
	t.Helper()
	var b strings.Builder
	c, err := l.Claimer.Claim(t.Context(), ref, "observer")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "version %d state %s timers %v\n", c.Version, canonical(t, c.State), c.Timers)
	events, err := l.History.Events(t.Context(), ref, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "events %v\n", events)
	for _, r := range recipients {
		head, err := l.Inbox.Head(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := l.Inbox.Read(t.Context(), r, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "inbox of %s to %d: %v\n", r, head, entries)
	}
	return b.String()
}

func canonical(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func sameState(t *testing.T, got, want json.RawMessage) {
	t.Helper()
	if diff := cmp.Diff(canonical(t, want), canonical(t, got)); diff != "" {
		t.Errorf("state differs:\n%s", diff)
	}
}

// statuses gives the words of some outcomes.
func statuses(os []ledger.Outcome) []string {
	words := make([]string, len(os))
	for i, o := range os {
		words[i] = o.Status.String()
	}
	return words
}

func count(os []ledger.Outcome, s ledger.Status) int {
	return len(slices.DeleteFunc(slices.Clone(os), func(o ledger.Outcome) bool { return o.Status != s }))
}
