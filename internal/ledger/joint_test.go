package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/ledger"
)

func jointStep(kind ledger.Kind, id string, change ...func(*ledger.Transition)) ledger.Transition {
	t := ledger.Transition{Ref: ledger.Ref{Kind: kind, ID: id}, Version: 1, State: json.RawMessage(`{}`), At: time.Unix(1, 0)}
	for _, c := range change {
		c(&t)
	}
	return t
}

func TestCheckTogether(t *testing.T) {
	t.Parallel()
	command := func(t *ledger.Transition) { t.Idem = &ledger.Idem{Scope: "s", Key: "k"} }
	order := jointStep(ledger.Order, "o", command)
	full := []ledger.Transition{order}
	for i := range ledger.MaxJoint - 1 {
		full = append(full, jointStep(ledger.Trip, fmt.Sprint(i)))
	}
	for name, c := range map[string]struct {
		ts []ledger.Transition
		at int
		ok bool
	}{
		"nothing":              {nil, 0, true},
		"an order and a trip":  {[]ledger.Transition{order, jointStep(ledger.Trip, "t")}, 0, true},
		"one id of two kinds":  {[]ledger.Transition{order, jointStep(ledger.Trip, "o")}, 0, true},
		"as many as may be":    {full, 0, true},
		"one more":             {append(full, jointStep(ledger.Trip, "x")), 0, false},
		"twice":                {[]ledger.Transition{order, jointStep(ledger.Trip, "t"), jointStep(ledger.Trip, "t")}, 2, false},
		"a second command":     {[]ledger.Transition{order, jointStep(ledger.Trip, "t", command)}, 1, false},
		"one that is no state": {[]ledger.Transition{order, jointStep(ledger.Trip, "t", func(t *ledger.Transition) { t.State = nil })}, 1, false},
	} {
		at, err := ledger.CheckTogether(c.ts)
		if (err == nil) != c.ok || at != c.at || (err != nil && !errors.Is(err, ledger.ErrMalformed)) {
			t.Errorf("%s: %d, %v", name, at, err)
		}
	}
}

func TestBlameAndEveryone(t *testing.T) {
	t.Parallel()
	moved, aborted := ledger.Outcome{Status: ledger.Moved}, ledger.Outcome{Status: ledger.Aborted}
	if diff := cmp.Diff([]ledger.Outcome{aborted, moved, aborted}, ledger.Blame(3, 1, moved)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]ledger.Outcome{moved, moved}, ledger.Everyone(2, moved)); diff != "" {
		t.Error(diff)
	}
}

func TestCheckOffers(t *testing.T) {
	t.Parallel()
	open := ledger.OfferChange{ID: "1", Recipient: "a", Open: true, Expires: time.Unix(9, 0), Data: json.RawMessage(`{}`)}
	closing := ledger.OfferChange{ID: "2", Recipient: "b", Reason: "declined"}
	with := func(change func(*ledger.OfferChange)) []ledger.OfferChange {
		o := open
		change(&o)
		return []ledger.OfferChange{closing, o}
	}
	for name, c := range map[string]struct {
		kind   ledger.Kind
		offers []ledger.OfferChange
		ok     bool
	}{
		"both kinds":        {ledger.Order, []ledger.OfferChange{open, closing}, true},
		"of a trip":         {ledger.Trip, []ledger.OfferChange{closing}, false},
		"no id":             {ledger.Order, with(func(o *ledger.OfferChange) { o.ID = "" }), false},
		"no recipient":      {ledger.Order, with(func(o *ledger.OfferChange) { o.Recipient = "" }), false},
		"an id twice":       {ledger.Order, with(func(o *ledger.OfferChange) { o.ID = "2" }), false},
		"a recipient twice": {ledger.Order, with(func(o *ledger.OfferChange) { o.Recipient = "b" }), false},
		"no end":            {ledger.Order, with(func(o *ledger.OfferChange) { o.Expires = time.Time{} }), false},
		"no data":           {ledger.Order, with(func(o *ledger.OfferChange) { o.Data = nil }), false},
		"a wave below zero": {ledger.Order, with(func(o *ledger.OfferChange) { o.Wave = -1 }), false},
	} {
		tr := jointStep(c.kind, "x", func(t *ledger.Transition) { t.Offers = c.offers })
		if err := tr.Check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	closeAll := jointStep(ledger.Trip, "t", func(t *ledger.Transition) { t.CloseOffers = &ledger.OfferClosing{} })
	if err := closeAll.Check(); !errors.Is(err, ledger.ErrMalformed) {
		t.Errorf("a trip that closes offers: %v", err)
	}
}
