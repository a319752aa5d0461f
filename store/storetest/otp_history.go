package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"weelo/internal/fleet"
	"weelo/internal/otp"
)

// otpCall and otpAnswer are one operation of a history. Times are left out: every life is far longer
// than the test, so the pure core at one instant is the whole truth.
type otpCall struct {
	op      string
	id      string
	session string
}

type otpAnswer struct {
	standing otp.Standing
	tries    int
	codes    string
	claim    string // the session of the claim that stands
	won      bool
	cooling  bool
	live     bool
	failed   bool
}

const otpTries = 5

// apply is the sequential specification: the pure core.
func (c otpCall) apply(s otp.Challenge) (otp.Challenge, otpAnswer) {
	far := noon.Add(time.Hour)
	switch c.op {
	case "issue":
		s, wait := s.Issue(otp.Code{ID: c.id, Expires: far}, 0, noon)
		return s, otpAnswer{cooling: wait > 0}
	case "issue unless cooling":
		s, wait := s.Issue(otp.Code{ID: c.id, Expires: far}, time.Hour, noon)
		return s, otpAnswer{cooling: wait > 0}
	case "withdraw":
		return s.Withdraw(c.id), otpAnswer{}
	case "try":
		s, a := s.Try(c.by(), otpTries, noon)
		return s, answered(a)
	case "look":
		o := s.Look(c.by(), otpTries, noon)
		return s, otpAnswer{standing: o.Standing, live: o.Live}
	default:
		s, claim, won := s.Consume(otp.Claim{Code: otp.Code{ID: c.id}, Device: "d", Session: c.session, Until: far}, noon)
		return s, otpAnswer{claim: claim.Session, won: won}
	}
}

// by is who tries: the device that wins every claim here.
func (c otpCall) by() otp.Sender { return otp.Sender{Challenge: c.id, Devices: []string{"d"}} }

func answered(a otp.Attempt) otpAnswer {
	out := otpAnswer{standing: a.Standing, tries: a.Tries, codes: codeIDs(a.Codes)}
	if a.Standing == otp.Missing {
		out.tries = 0
	}
	if a.Claim != nil {
		out.claim = a.Claim.Session
	}
	return out
}

// run does the operation on a store.
func (c otpCall) run(t *testing.T, s otp.Store, k otp.Key) otpAnswer {
	t.Helper()
	const life = time.Hour
	switch c.op {
	case "issue", "issue unless cooling":
		cooldown := time.Duration(0)
		if c.op != "issue" {
			cooldown = time.Hour
		}
		wait, err := s.Issue(t.Context(), k, otpCode(c.id), life, cooldown)
		return otpAnswer{cooling: wait > 0, failed: err != nil}
	case "withdraw":
		return otpAnswer{failed: s.Withdraw(t.Context(), k, c.id) != nil}
	case "try":
		a, err := s.Try(t.Context(), k, c.by(), otpTries)
		out := answered(a)
		out.failed = err != nil
		return out
	case "look":
		o, err := s.Look(t.Context(), k, c.by(), otpTries)
		return otpAnswer{standing: o.Standing, live: o.Live, failed: err != nil}
	default:
		claim, won, err := s.Consume(t.Context(), k, otp.Claim{Code: otpCode(c.id), Device: "d", Session: c.session}, life)
		return otpAnswer{claim: claim.Session, won: won, failed: err != nil}
	}
}

// otpModel says whether a history could have happened one step after the other.
var otpModel = porcupine.Model{
	Init: func() any { return otp.Challenge{} },
	Step: func(state, input, output any) (bool, any) {
		after, want := input.(otpCall).apply(state.(otp.Challenge)) //nolint:forcetypeassert // our own history
		return want == output.(otpAnswer), after                    //nolint:forcetypeassert // our own history
	},
	Equal: func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) },
	DescribeOperation: func(input, output any) string {
		return fmt.Sprintf("%+v → %+v", input, output)
	},
}

const historyClients, historySteps = 6, 13

// OTPHistory lets many clients work on one key at once and checks that what they were told could have
// happened one step after the other, by the pure core.
func OTPHistory(t *testing.T, open func(t *testing.T) otp.Store) {
	t.Helper()
	s := open(t)
	for round := range 8 {
		if history, ok := OTPHistoryHolds(t, s, round); !ok {
			t.Fatalf("round %d could not have happened in any order: %v", round, history)
		}
	}
}

// OTPHistoryHolds runs one round and tells whether its history is linearizable.
func OTPHistoryHolds(t *testing.T, s otp.Store, round int) ([]porcupine.Operation, bool) {
	t.Helper()
	key := otpKey(t, fmt.Sprintf("98765432%02d", round), fleet.Customer)
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for client := range historyClients {
		wg.Go(func() {
			for step := range historySteps {
				c := plan(round, client, step)
				began := time.Now().UnixNano()
				out := c.run(t, s, key)
				op := porcupine.Operation{ClientId: client, Input: c, Call: began, Output: out, Return: time.Now().UnixNano()}
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if slices.ContainsFunc(history, func(o porcupine.Operation) bool { return o.Output.(otpAnswer).failed }) { //nolint:forcetypeassert // our own history
		t.Fatal("an operation failed")
	}
	return history, porcupine.CheckOperationsTimeout(otpModel, history, 20*time.Second) == porcupine.Ok
}

// plan mixes the operations differently in each round: the clients meet on few ids.
func plan(round, client, step int) otpCall {
	n := (round*7 + client*5 + step*3) % 12
	id := fmt.Sprint("c", (client+step)%3)
	mine := fmt.Sprint("s", client, "-", step)
	switch {
	case n < 2:
		return otpCall{op: "issue", id: fmt.Sprint("c", (round+step)%3)}
	case n < 3:
		return otpCall{op: "issue unless cooling", id: id}
	case n < 4:
		return otpCall{op: "withdraw", id: id}
	case n < 7:
		return otpCall{op: "try"}
	case n < 8:
		return otpCall{op: "try", id: id}
	case n < 9:
		return otpCall{op: "look", id: []string{"", id}[client%2]}
	default:
		return otpCall{op: "consume", id: fmt.Sprint("c", n%3), session: mine}
	}
}
