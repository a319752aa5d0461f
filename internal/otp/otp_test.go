package otp_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/otp"
	"weelo/internal/phone"
)

var (
	oldPepper = otp.PepperOf([]byte("old-pepper-for-tests-0123456789abcdef"))
	newPepper = otp.PepperOf([]byte("new-pepper-for-tests-0123456789abcdef"))
	key       = otp.Key{Flow: otp.Own, Role: fleet.Transporter, Phone: "+919876543210"}
	noon      = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
)

func TestKeysAreTheLiteralOnes(t *testing.T) {
	t.Parallel()
	driver := otp.Key{Flow: otp.Driver, Role: fleet.Driver, Phone: "+919123456789"}
	if key.Literal() != "otp:9876543210:transporter" || driver.Literal() != "driver-otp:9123456789" ||
		key.String() != "otp:+91******3210:transporter" {
		t.Errorf("%s %s", key, driver)
	}
}

// A hash is good for its flow, role, phone, challenge and code, and for nothing else.
func TestAHashIsGoodForOneThing(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, flow := range []otp.Flow{otp.Own, otp.Driver} {
		for _, role := range []fleet.Role{fleet.Customer, fleet.Transporter, fleet.Driver} {
			for _, number := range []phone.Number{"+919876543210", "+919876543211"} {
				for _, challenge := range []string{"a", "b", "ab"} {
					for _, code := range []string{"000000", "000001"} {
						for _, p := range []otp.Pepper{oldPepper, newPepper} {
							h := p.Hash(otp.Key{Flow: flow, Role: role, Phone: number}, challenge, code)
							what := fmt.Sprint(flow, role, number.E164(), challenge, code, p)
							if other, had := seen[h]; had {
								t.Fatalf("%s and %s have one hash", what, other)
							}
							seen[h] = what
						}
					}
				}
			}
		}
	}
}

// During a rotation codes under both peppers work; afterwards the old ones do not.
func TestPeppersRotate(t *testing.T) {
	t.Parallel()
	sent := otp.Code{ID: "c", Kid: oldPepper.ID, Hash: oldPepper.Hash(key, "c", "123456")}
	for _, c := range []struct {
		peppers otp.Peppers
		code    string
		want    bool
	}{
		{otp.Peppers{oldPepper}, "123456", true}, {otp.Peppers{newPepper, oldPepper}, "123456", true},
		{otp.Peppers{newPepper}, "123456", false}, {otp.Peppers{newPepper, oldPepper}, "123457", false},
	} {
		if got := c.peppers.Matches(key, sent, c.code); got != c.want {
			t.Errorf("%v with %s: %v", c.peppers, c.code, got)
		}
	}
	hidden := otp.Peppers{oldPepper}.Device("mine")
	if both := (otp.Peppers{newPepper, oldPepper}); !both.SameDevice(hidden, "mine") || !both.SameDevice(both.Device("mine"), "mine") ||
		both.SameDevice(hidden, "another") || both.SameDevice("", "") || (otp.Peppers{newPepper}).SameDevice(hidden, "mine") {
		t.Error("a device is the same under every live pepper, and under no other")
	}
	if s := fmt.Sprintf("%v %+v %#v", oldPepper, oldPepper, oldPepper); strings.Contains(s, "pepper-for-tests") {
		t.Errorf("prints its secret: %s", s)
	}
	for _, bad := range []otp.Peppers{nil, {{ID: "x", Secret: []byte("short")}}, {{Secret: bytes.Repeat([]byte("x"), 32)}}} {
		if bad.Validate() == nil {
			t.Errorf("accepted %v", bad)
		}
	}
	if err := (otp.Peppers{newPepper, oldPepper}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestCodesAreSixDigitsAndDiffer(t *testing.T) {
	t.Parallel()
	seen, leading := map[string]bool{}, false
	for range 2000 {
		code, err := otp.NewCode(rand.Reader)
		if err != nil || !otp.WellFormed(code) {
			t.Fatalf("%q, %v", code, err)
		}
		seen[code] = true
		leading = leading || code[0] == '0'
	}
	if len(seen) < 1980 || !leading { // about 2 of 2,000 coincide by chance
		t.Errorf("%d different codes, a leading zero: %v", len(seen), leading)
	}
	if _, err := otp.NewCode(strings.NewReader("")); err == nil {
		t.Error("a code without randomness")
	}
	if _, err := otp.NewID(strings.NewReader("short")); err == nil {
		t.Error("an id without randomness")
	}
	for _, s := range []string{"", "12345", "1234567", "12345a", "１２３４５６", "-12345", "12 456"} {
		if otp.WellFormed(s) {
			t.Errorf("%q is no code", s)
		}
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	p := otp.DefaultPolicy()
	for drivers, want := range map[int]int{0: 10, 5: 10, 6: 12, 40: 80} {
		if w := p.DriverCodes(drivers); len(w) != 1 || w[0] != (otp.Window{Max: want, Per: time.Hour}) {
			t.Errorf("%d drivers: %v", drivers, w)
		}
	}
	s := p.Scaled(60)
	if s.Life != 5*time.Second || s.Cooldown != 500*time.Millisecond || s.PerDestination[0] != (otp.Window{Max: 5, Per: time.Minute}) ||
		s.DriverCodes(0)[0].Per != time.Minute || s.FailWindow != 24*time.Minute || s.Tries != 5 || s.FailCeiling != 15 {
		t.Errorf("%+v", s)
	}
	if p.PerDestination[0].Per != time.Hour {
		t.Error("scaling changed the original")
	}
}

// Whatever happens in whatever order: no more tries per send than allowed, never more than two codes,
// one winner per code, nothing works at or after its end, and inputs are not changed.
func TestChallengeInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const limit = 5
		c, now := otp.Challenge{}, noon
		tries, sends := 0, 0
		won := map[string]bool{}
		expiry := map[string]time.Time{}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				before := c
				sends++
				id := fmt.Sprint("c", sends)
				end := now.Add(5 * time.Minute)
				after, wait := c.Issue(otp.Code{ID: id, Expires: end}, 30*time.Second, now)
				if wait > 30*time.Second || wait < 0 {
					t.Fatalf("wait %v", wait)
				}
				if wait > 0 {
					if fmt.Sprint(after) != fmt.Sprint(before) {
						t.Fatal("a refused send changed something")
					}
					return
				}
				c, tries, expiry[id] = after, 0, end
			},
			"try": func(t *rapid.T) {
				before := fmt.Sprint(c)
				old := c
				id := rapid.SampledFrom([]string{"", "c1", fmt.Sprint("c", sends)}).Draw(t, "id")
				after, a := c.Try(otp.Sender{Challenge: id, Devices: []string{"d"}}, limit, now)
				if fmt.Sprint(old) != before {
					t.Fatal("the input was changed")
				}
				c = after
				if a.Standing == otp.Counted {
					tries++
				}
				if len(after.Codes) > 0 && tries > limit {
					t.Fatalf("%d tries since the last send", tries)
				}
				for _, code := range a.Codes {
					if !now.Before(expiry[code.ID]) || won[code.ID] {
						t.Fatalf("%s may be compared with", code.ID)
					}
				}
			},
			"consume": func(t *rapid.T) {
				id := fmt.Sprint("c", rapid.IntRange(1, max(1, sends)).Draw(t, "n"))
				after, claim, ok := c.Consume(otp.Claim{Code: otp.Code{ID: id}, Device: "d", Session: id, Until: now.Add(30 * time.Second)}, now)
				if ok {
					if won[id] || !now.Before(expiry[id]) || claim.ID != id || len(after.Codes) != 0 {
						t.Fatalf("%s was consumed again or late: %+v", id, after)
					}
					won[id] = true
					tries = 0
				}
				c = after
			},
			"wait": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "s")) * time.Second) },
			"": func(t *rapid.T) {
				if len(c.Codes) > otp.MaxCodes {
					t.Fatalf("%d codes", len(c.Codes))
				}
				if end := c.Forgettable(30 * time.Second); !end.IsZero() {
					_, a := c.Try(otp.Sender{Devices: []string{"d"}}, limit, end)
					if a.Standing != otp.Missing {
						t.Fatalf("forgettable, yet %+v", a)
					}
				}
			},
		})
	})
}
