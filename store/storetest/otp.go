package storetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/otp"
	"weelo/internal/phone"
)

// Clocked is a store with the clock it runs on. Advance moves that clock, or waits when it is real.
type Clocked[S any] struct {
	Store   S
	Advance func(time.Duration)
	// Real says that the clock is real: the suite then never asserts that something still lives
	// shortly before its end, because the machine may have been slow.
	Real bool
}

func otpKey(t *testing.T, number string, role fleet.Role) otp.Key {
	t.Helper()
	n, err := phone.Parse(number)
	must(t, err)
	if role == fleet.Driver {
		return otp.Key{Flow: otp.Driver, Role: role, Phone: n}
	}
	return otp.Key{Flow: otp.Own, Role: role, Phone: n}
}

func otpCode(id string) otp.Code {
	return otp.Code{ID: id, Kid: "k1", Hash: "hash-" + id, Binding: "bound-" + id}
}

func codeIDs(codes []otp.Code) string {
	list := make([]string, len(codes))
	for i, c := range codes {
		list[i] = c.ID
	}
	return strings.Join(list, " ")
}

// OTP is the conformance suite of otp.Store. open gives an empty store.
func OTP(t *testing.T, open func(t *testing.T) Clocked[otp.Store]) {
	t.Helper()
	const life, cool, tries = 5 * time.Minute, 30 * time.Second, 5
	key := otpKey(t, "9876543210", fleet.Transporter)
	issue := func(t *testing.T, s otp.Store, k otp.Key, id string, life, cool time.Duration) time.Duration {
		t.Helper()
		wait, err := s.Issue(t.Context(), k, otpCode(id), life, cool)
		must(t, err)
		return wait
	}
	try := func(t *testing.T, s otp.Store, k otp.Key, id string) otp.Attempt {
		t.Helper()
		a, err := s.Try(t.Context(), k, otp.Sender{Challenge: id, Devices: []string{"another", "d"}}, tries)
		must(t, err)
		return a
	}

	look := func(t *testing.T, s otp.Store, id string) otp.Outlook {
		t.Helper()
		o, err := s.Look(t.Context(), key, otp.Sender{Challenge: id, Devices: []string{"d"}}, tries)
		must(t, err)
		return o
	}

	t.Run("a look tells what a try would be, and counts nothing", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		sees := func(when, id string, standing otp.Standing, live bool) {
			t.Helper()
			for range 2 * tries {
				if o := look(t, c.Store, id); o != (otp.Outlook{Standing: standing, Live: live}) {
					t.Fatalf("%s: %+v", when, o)
				}
			}
		}
		sees("an empty store", "", otp.Missing, false)
		issue(t, c.Store, key, "a", life, time.Millisecond)
		sees("a code", "", otp.Counted, true)
		sees("a named code", "a", otp.Counted, true)
		sees("another's", "stranger", otp.Foreign, false)
		for n := 1; n <= tries; n++ {
			if a := try(t, c.Store, key, ""); a.Standing != otp.Counted || a.Tries != n {
				t.Fatalf("looks were counted: try %d is %+v", n, a)
			}
		}
		sees("after the last try", "", otp.Exhausted, false)
		sees("another's, after the last try", "stranger", otp.Foreign, false)
		if _, won, err := c.Store.Consume(t.Context(), key, otp.Claim{Code: otpCode("a"), Device: "d", Session: "s"}, time.Minute); !won || err != nil {
			t.Fatalf("not consumed: %v", err)
		}
		sees("a claim", "", otp.Counted, false)
		c.Advance(5 * time.Millisecond)
		issue(t, c.Store, key, "b", life, time.Millisecond)
		sees("a claim and a code", "", otp.Counted, true)
		sees("the claim", "a", otp.Counted, false)
		if a := try(t, c.Store, key, ""); a.Tries != 1 || a.Claim == nil || codeIDs(a.Codes) != "b" {
			t.Fatalf("looks changed something: %+v", a)
		}
	})

	t.Run("what was issued can be tried, and is all there", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		if a := try(t, c.Store, key, ""); a.Standing != otp.Missing {
			t.Fatalf("an empty store: %+v", a)
		}
		if wait := issue(t, c.Store, key, "a", life, cool); wait != 0 {
			t.Fatalf("wait %v", wait)
		}
		a := try(t, c.Store, key, "")
		want := otp.Attempt{Standing: otp.Counted, Tries: 1, Codes: []otp.Code{otpCode("a")}}
		if diff := cmp.Diff(want, a, cmpopts.IgnoreFields(otp.Code{}, "Expires")); diff != "" {
			t.Errorf("attempt (-want +got):\n%s", diff)
		}
		if a.Codes[0].Expires.IsZero() {
			t.Error("no expiry")
		}
	})

	t.Run("exactly five tries, then none, and a resend gives five more", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		issue(t, c.Store, key, "a", life, time.Millisecond)
		for n := 1; n <= tries; n++ {
			if a := try(t, c.Store, key, ""); a.Standing != otp.Counted || a.Tries != n {
				t.Fatalf("try %d: %+v", n, a)
			}
		}
		for range 3 {
			if a := try(t, c.Store, key, ""); a.Standing != otp.Exhausted || a.Tries != tries || a.Codes != nil {
				t.Fatalf("after the last try: %+v", a)
			}
		}
		c.Advance(5 * time.Millisecond)
		issue(t, c.Store, key, "b", life, time.Millisecond)
		if a := try(t, c.Store, key, ""); a.Standing != otp.Counted || a.Tries != 1 || codeIDs(a.Codes) != "b a" {
			t.Fatalf("after a resend: %+v", a)
		}
	})

	t.Run("to another device a consumed code is gone, and its tries cost the winner none", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		issue(t, c.Store, key, "a", life, time.Millisecond)
		if _, won, err := c.Store.Consume(t.Context(), key, otp.Claim{Code: otpCode("a"), Device: "d", Session: "s"}, time.Minute); !won || err != nil {
			t.Fatalf("not consumed: %v", err)
		}
		stranger := otp.Sender{Devices: []string{"another", "one more"}}
		for _, by := range []otp.Sender{stranger, {Challenge: "a", Devices: stranger.Devices}, {Challenge: "a"}, {}} {
			for range tries {
				if a, err := c.Store.Try(t.Context(), key, by, tries); err != nil || a.Standing != otp.Missing || a.Claim != nil {
					t.Fatalf("%+v: %+v, %v", by, a, err)
				}
				if o, err := c.Store.Look(t.Context(), key, by, tries); err != nil || o.Standing != otp.Missing {
					t.Fatalf("%+v sees %+v, %v", by, o, err)
				}
			}
		}
		for n := 1; n <= tries; n++ {
			if a := try(t, c.Store, key, "a"); a.Standing != otp.Counted || a.Tries != n || a.Claim == nil || a.Claim.Session != "s" {
				t.Fatalf("the winner's repeat %d: %+v", n, a)
			}
		}
		if a := try(t, c.Store, key, ""); a.Standing != otp.Exhausted { // he may not guess either
			t.Fatalf("after his last try: %+v", a)
		}
		c.Advance(5 * time.Millisecond)
		issue(t, c.Store, key, "b", life, time.Millisecond)
		if a, err := c.Store.Try(t.Context(), key, stranger, tries); err != nil || a.Standing != otp.Counted || codeIDs(a.Codes) != "b" || a.Claim != nil {
			t.Fatalf("a stranger at the next code: %+v, %v", a, err)
		}
	})

	t.Run("racing tries are counted one by one", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		issue(t, c.Store, key, "a", life, cool)
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := map[string]int{}
		for range 40 {
			wg.Go(func() {
				a, err := c.Store.Try(t.Context(), key, otp.Sender{}, tries)
				mu.Lock()
				defer mu.Unlock()
				seen[fmt.Sprint(a.Standing, " ", a.Tries, " ", err)]++
			})
		}
		wg.Wait()
		want := map[string]int{"2 5 <nil>": 35}
		for n := 1; n <= tries; n++ {
			want[fmt.Sprint("3 ", n, " <nil>")] = 1
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("standings and tries (-want +got):\n%s", diff)
		}
	})

	t.Run("two codes live, the third replaces the oldest", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		for _, id := range []string{"a", "b", "c"} {
			issue(t, c.Store, key, id, life, time.Millisecond)
			c.Advance(5 * time.Millisecond)
		}
		if a := try(t, c.Store, key, ""); codeIDs(a.Codes) != "c b" {
			t.Errorf("live: %q", codeIDs(a.Codes))
		}
		if a := try(t, c.Store, key, "b"); a.Standing != otp.Counted || codeIDs(a.Codes) != "b" {
			t.Errorf("named: %+v", a)
		}
		if a := try(t, c.Store, key, "a"); a.Standing != otp.Foreign || a.Tries != 2 {
			t.Errorf("replaced: %+v", a)
		}
		if a := try(t, c.Store, key, "stranger"); a.Standing != otp.Foreign || a.Tries != 2 {
			t.Errorf("another's challenge must cost nothing: %+v", a)
		}
	})

	t.Run("the cool-down refuses and changes nothing", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		issue(t, c.Store, key, "a", life, cool)
		try(t, c.Store, key, "")
		if wait := issue(t, c.Store, key, "b", life, cool); wait <= 0 || wait > cool {
			t.Fatalf("wait %v", wait)
		}
		if a := try(t, c.Store, key, ""); codeIDs(a.Codes) != "a" || a.Tries != 2 {
			t.Fatalf("a refused send changed the challenge: %+v", a)
		}
		if !c.Real {
			c.Advance(cool - time.Millisecond)
			if wait := issue(t, c.Store, key, "b", life, cool); wait != time.Millisecond {
				t.Fatalf("a millisecond before its end: wait %v", wait)
			}
			c.Advance(time.Millisecond)
			if wait := issue(t, c.Store, key, "b", life, cool); wait != 0 {
				t.Fatalf("at its end: wait %v", wait)
			}
		}
	})

	t.Run("racing sends: one code", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		sent := 0
		for i := range 20 {
			wg.Go(func() {
				wait, err := c.Store.Issue(t.Context(), key, otpCode(fmt.Sprint("c", i)), life, cool)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if wait == 0 {
					sent++
				}
			})
		}
		wg.Wait()
		if a := try(t, c.Store, key, ""); sent != 1 || len(a.Codes) != 1 {
			t.Errorf("%d sent, %q live", sent, codeIDs(a.Codes))
		}
	})

	t.Run("a code has expired at its very instant", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		short := 300 * time.Millisecond
		issue(t, c.Store, key, "a", short, time.Millisecond)
		if !c.Real {
			c.Advance(short - time.Millisecond)
			if a := try(t, c.Store, key, ""); a.Standing != otp.Counted {
				t.Fatalf("a millisecond before: %+v", a)
			}
			c.Advance(time.Millisecond)
		} else {
			c.Advance(short)
		}
		if a := try(t, c.Store, key, ""); a.Standing != otp.Missing {
			t.Fatalf("at the instant: %+v", a)
		}
		if _, won, err := c.Store.Consume(t.Context(), key, otp.Claim{Code: otpCode("a"), Device: "d", Session: "s"}, time.Minute); won || err != nil {
			t.Fatalf("an expired code was consumed: %v", err)
		}
	})

	t.Run("one of many consumes a code, and every code dies", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		issue(t, c.Store, key, "a", life, time.Millisecond)
		c.Advance(5 * time.Millisecond)
		issue(t, c.Store, key, "b", life, time.Millisecond)
		var wg sync.WaitGroup
		var mu sync.Mutex
		winners, standing := []string{}, map[string]bool{}
		for i := range 30 {
			wg.Go(func() {
				mine := otp.Claim{Code: otpCode([]string{"a", "b"}[i%2]), Device: fmt.Sprint("d", i), Session: fmt.Sprint("s", i)}
				stands, won, err := c.Store.Consume(t.Context(), key, mine, time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if won {
					winners = append(winners, mine.Session)
				}
				standing[stands.Session] = true
			})
		}
		wg.Wait()
		if len(winners) != 1 || len(standing) != 1 || !standing[winners[0]] {
			t.Fatalf("winners %v, claims told %v", winners, standing)
		}
		a, err := c.Store.Try(t.Context(), key, otp.Sender{Devices: []string{"d" + winners[0][1:]}}, tries)
		if err != nil || a.Standing != otp.Counted || a.Tries != 1 || len(a.Codes) != 0 || a.Claim == nil || a.Claim.Session != winners[0] ||
			!strings.HasPrefix(a.Claim.Hash, "hash-") || !strings.HasPrefix(a.Claim.Binding, "bound-") || a.Claim.Until.IsZero() {
			t.Fatalf("after: %+v", a)
		}
	})

	t.Run("a claim can be repeated until its window is over, also after a resend", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		window := 300 * time.Millisecond
		issue(t, c.Store, key, "a", life, time.Millisecond)
		if _, won, err := c.Store.Consume(t.Context(), key, otp.Claim{Code: otpCode("a"), Device: "d", Session: "s"}, window); !won || err != nil {
			t.Fatalf("not consumed: %v", err)
		}
		if !c.Real {
			c.Advance(window - time.Millisecond)
			issue(t, c.Store, key, "b", life, time.Millisecond)
			if a := try(t, c.Store, key, ""); a.Claim == nil || codeIDs(a.Codes) != "b" {
				t.Fatalf("within the window: %+v", a)
			}
			if a := try(t, c.Store, key, "a"); a.Standing != otp.Counted || a.Claim == nil || len(a.Codes) != 0 {
				t.Fatalf("named: %+v", a)
			}
			c.Advance(time.Millisecond)
		} else {
			c.Advance(window)
			issue(t, c.Store, key, "b", life, time.Millisecond)
		}
		if a := try(t, c.Store, key, ""); a.Claim != nil || codeIDs(a.Codes) != "b" {
			t.Fatalf("after the window: %+v", a)
		}
	})

	t.Run("a withdrawn code is gone and so is its cool-down", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		must(t, c.Store.Withdraw(t.Context(), key, "nothing"))
		issue(t, c.Store, key, "a", life, time.Millisecond)
		c.Advance(5 * time.Millisecond)
		issue(t, c.Store, key, "b", life, time.Millisecond)
		must(t, c.Store.Withdraw(t.Context(), key, "b"))
		if a := try(t, c.Store, key, ""); codeIDs(a.Codes) != "a" {
			t.Fatalf("left: %q", codeIDs(a.Codes))
		}
		if wait := issue(t, c.Store, key, "c", life, cool); wait != 0 {
			t.Fatalf("wait %v", wait)
		}
		must(t, c.Store.Withdraw(t.Context(), key, "a"))
		if a := try(t, c.Store, key, ""); codeIDs(a.Codes) != "c" {
			t.Fatalf("left: %q", codeIDs(a.Codes))
		}
		if wait := issue(t, c.Store, key, "d", life, cool); wait <= 0 {
			t.Fatal("the newest code's cool-down must go on")
		}
	})

	t.Run("keys do not touch each other", func(t *testing.T) {
		t.Parallel()
		c := open(t)
		others := []otp.Key{otpKey(t, "9876543210", fleet.Customer), otpKey(t, "9876543210", fleet.Driver), otpKey(t, "9876543211", fleet.Transporter)}
		issue(t, c.Store, key, "a", life, cool)
		for _, other := range others {
			if a := try(t, c.Store, other, ""); a.Standing != otp.Missing {
				t.Errorf("%v: %+v", other.Role, a)
			}
			if wait := issue(t, c.Store, other, "x", life, cool); wait != 0 {
				t.Errorf("%v waits for another's cool-down", other.Role)
			}
		}
		if a := try(t, c.Store, key, ""); a.Tries != 1 || codeIDs(a.Codes) != "a" {
			t.Errorf("%+v", a)
		}
	})
}

// OTPModel runs random steps against a store and the pure core side by side. open gives an empty
// store on a clock that can be moved, and that clock's time.
func OTPModel(t *testing.T, open func(t *testing.T) (Clocked[otp.Store], func() time.Time)) {
	t.Helper()
	key := otpKey(t, "9876543210", fleet.Customer)
	clocked, now := open(t)
	s := clocked.Store
	rapid.Check(t, func(rt *rapid.T) {
		clocked.Advance(time.Hour) // a fresh key, without another store
		model := otp.Challenge{}
		next := 0
		pick := func() string {
			return rapid.SampledFrom([]string{"", fmt.Sprint("m", next), fmt.Sprint("m", max(0, next-1)), "m0", "stranger"}).Draw(rt, "id")
		}
		who := func() otp.Sender {
			return otp.Sender{Challenge: pick(), Devices: rapid.SampledFrom([][]string{nil, {"d"}, {"e"}, {"f", "d"}}).Draw(rt, "devices")}
		}
		const life, cool, window, limit = 500 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond, 3
		equal := func(what string, want, got any) {
			rt.Helper()
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
				rt.Fatalf("%s (-model +store):\n%s", what, diff)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"issue": func(*rapid.T) {
				next++
				code := otpCode(fmt.Sprint("m", next))
				got, err := s.Issue(t.Context(), key, code, life, cool)
				if err != nil {
					rt.Fatal(err)
				}
				code.Expires = now().Add(life)
				var want time.Duration
				model, want = model.Issue(code, cool, now())
				equal("wait", want, got)
			},
			"try": func(*rapid.T) {
				by := who()
				got, err := s.Try(t.Context(), key, by, limit)
				if err != nil {
					rt.Fatal(err)
				}
				var want otp.Attempt
				model, want = model.Try(by, limit, now())
				if want.Standing == otp.Missing {
					want.Tries, got.Tries = 0, 0
				}
				equal("attempt", want, got)
			},
			"look": func(*rapid.T) {
				by := who()
				got, err := s.Look(t.Context(), key, by, limit)
				if err != nil {
					rt.Fatal(err)
				}
				equal("outlook", model.Look(by, limit, now()), got)
			},
			"consume": func(*rapid.T) {
				claim := otp.Claim{Code: otpCode(pick()), Device: "d", Session: fmt.Sprint("s", next)}
				got, won, err := s.Consume(t.Context(), key, claim, window)
				if err != nil {
					rt.Fatal(err)
				}
				claim.Until = now().Add(window)
				var want otp.Claim
				var wantWon bool
				model, want, wantWon = model.Consume(claim, now())
				equal("won", wantWon, won)
				equal("claim", want, got)
			},
			"withdraw": func(*rapid.T) {
				id := pick()
				if err := s.Withdraw(t.Context(), key, id); err != nil {
					rt.Fatal(err)
				}
				model = model.Withdraw(id)
			},
			"wait": func(*rapid.T) {
				clocked.Advance(time.Duration(rapid.IntRange(1, 200).Draw(rt, "ms")) * time.Millisecond)
			},
		})
	})
}
