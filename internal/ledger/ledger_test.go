package ledger_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weelo/internal/ledger"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	tr := ledger.Transition{Version: 4, Epoch: 2, Idem: &ledger.Idem{Scope: "s", Key: "k", Hash: "h"}}
	reply := json.RawMessage(`1`)
	for _, test := range []struct {
		name string
		row  *ledger.Place
		used *ledger.Idem
		want ledger.Outcome
	}{
		{"no row", nil, nil, ledger.Outcome{Status: ledger.Missing}},
		{"claimed since", &ledger.Place{Version: 4, Epoch: 3}, nil, ledger.Outcome{Status: ledger.Fenced}},
		{"claimed and moved", &ledger.Place{Version: 9, Epoch: 3}, nil, ledger.Outcome{Status: ledger.Fenced}},
		{"an older epoch, after a restore", &ledger.Place{Version: 4, Epoch: 1}, nil, ledger.Outcome{Status: ledger.Fenced}},
		{"moved", &ledger.Place{Version: 5, Epoch: 2}, nil, ledger.Outcome{Status: ledger.Moved}},
		{"nothing wrong with it", &ledger.Place{Version: 4, Epoch: 2}, nil, ledger.Outcome{Status: ledger.Broken}},
		{"used, same body", &ledger.Place{Version: 5, Epoch: 3}, &ledger.Idem{Hash: "h", Reply: reply}, ledger.Outcome{Status: ledger.Replayed, Reply: reply}},
		{"used, other body", nil, &ledger.Idem{Hash: "x", Reply: reply}, ledger.Outcome{Status: ledger.Mismatched}},
	} {
		if diff := cmp.Diff(test.want, ledger.Judge(tr, test.row, test.used)); diff != "" {
			t.Errorf("%s:\n%s", test.name, diff)
		}
	}
}

func TestStatusWords(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for s := ledger.Unknown; s <= ledger.Aborted; s++ {
		word := s.String()
		if seen[word] || strings.Contains(word, "(") {
			t.Errorf("status %d has no word of its own: %q", int(s), word)
		}
		seen[word] = true
	}
	if got := ledger.Status(99).String(); got != "status(99)" {
		t.Errorf("a status out of range is %q", got)
	}
}

func TestCheckAndSize(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	good := ledger.Transition{
		Ref: ledger.Ref{Kind: ledger.Trip, ID: "a"}, Version: 1, State: json.RawMessage(" \n{}"), At: at,
		Events: []ledger.Event{{ID: "1", Type: "x", At: at, Data: json.RawMessage("null"), Recipients: []string{"u"}}},
		Outbox: []ledger.Message{{ID: "m", Channel: "sms", Body: json.RawMessage("1")}},
		Idem:   &ledger.Idem{Scope: "s", Key: "k"},
		Timers: []ledger.TimerChange{{Name: "a"}, {Name: "b"}},
	}
	if err := good.Check(); err != nil {
		t.Errorf("a well-formed transition: %v", err)
	}
	if good.Alone() {
		t.Error("a plain step wants a transaction of its own")
	}
	contended, birth := good, good
	contended.Contended, birth.Version = true, 0
	if !contended.Alone() || !birth.Alone() {
		t.Error("a contended step and a birth must be alone")
	}
	bad := good
	bad.State = json.RawMessage("[]")
	if err := bad.Check(); !errors.Is(err, ledger.ErrMalformed) || !strings.Contains(err.Error(), "trip a") {
		t.Errorf("a list as state: %v", err)
	}
	larger := good
	larger.State = json.RawMessage(`{"pad":"` + strings.Repeat("x", 1000) + `"}`)
	if d := larger.Bytes() - good.Bytes(); d < 1000 || d > 1100 {
		t.Errorf("1,009 more bytes of state count as %d", d)
	}
}

func TestRetentionDefaults(t *testing.T) {
	t.Parallel()
	want := ledger.Retention{Inbox: 24 * time.Hour, Idem: 72 * time.Hour, Offer: 30 * 24 * time.Hour}
	if diff := cmp.Diff(want, ledger.Retention{}.WithDefaults()); diff != "" {
		t.Errorf("defaults:\n%s", diff)
	}
	set := ledger.Retention{Inbox: time.Hour, Idem: time.Minute, Offer: time.Second}
	if diff := cmp.Diff(set, set.WithDefaults()); diff != "" {
		t.Errorf("what is set stays:\n%s", diff)
	}
}

// TestAddress: whatever is accepted, in whatever order it was handed in, each recipient's entries
// count down to 0 in (aggregate id, ordinal) order and heads are sorted, each once.
func TestAddress(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-f]{3}`), 1, 8, rapid.ID[string]).Draw(t, "ids")
		ts := make([]ledger.Transition, len(names))
		var accepted []int
		for i, name := range names {
			ts[i].Ref = ledger.Ref{Kind: ledger.Trip, ID: name}
			for range rapid.IntRange(0, 3).Draw(t, "events") {
				to := rapid.SliceOfN(rapid.SampledFrom([]string{"u", "v", "w", ""}), 0, 4).Draw(t, "to")
				ts[i].Events = append(ts[i].Events, ledger.Event{Recipients: to})
			}
			if rapid.Bool().Draw(t, "accepted") {
				accepted = append(accepted, i)
			}
		}
		entries, heads := ledger.Address(ts, accepted)
		left := map[string]int64{}
		for i, r := range heads.Recipients {
			if i > 0 && heads.Recipients[i-1] >= r {
				t.Fatalf("heads are not sorted: %q", heads.Recipients)
			}
			left[r] = heads.Counts[i]
		}
		place := map[string]string{}
		for _, e := range entries {
			if e.Recipient == "" {
				t.Fatal("an entry for nobody")
			}
			left[e.Recipient]--
			if int64(e.Back) != left[e.Recipient] {
				t.Fatalf("entry %+v has %d after it, want %d", e, e.Back, left[e.Recipient])
			}
			here := ts[e.Transition].Ref.ID + string(rune('0'+e.Event))
			if here <= place[e.Recipient] {
				t.Fatalf("%s comes after %s for %s", here, place[e.Recipient], e.Recipient)
			}
			place[e.Recipient] = here
		}
		for r, n := range left {
			if n != 0 {
				t.Fatalf("%s needs %d more numbers than entries", r, n)
			}
		}
	})
}
