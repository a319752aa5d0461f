package auditlog_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weelo/internal/auditlog"
)

// refused is a code that a limit refused.
func refused(phone, addr string) auditlog.Event {
	return auditlog.Event{Action: auditlog.CodeNotSent, Reason: "OTP_COOLDOWN", Phone: phone, From: auditlog.Source{Client: netip.MustParseAddr(addr)}}
}

// repeats is how many notes a row stands for, itself or its count.
func repeats(t *testing.T, e auditlog.Entry) int {
	t.Helper()
	var d struct{ Repeated int }
	if err := json.Unmarshal([]byte(e.Details), &d); err != nil {
		t.Fatal(err)
	}
	return max(1, d.Repeated)
}

// TestNotesAreCounted: the first is written at once, and then one row a minute for as long as it comes again.
func TestNotesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		r := recorder(s, 1000)
		running(t, r)
		began := time.Now()
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, e := range s.all() {
				got = append(got, e.At.Sub(began).String()+" "+e.Network+" "+e.Details)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: rows\n%q, want\n%q", when, got, want)
			}
		}
		for range 5000 {
			r.Note(refused("", "203.0.113.7"))
			r.Note(refused("", "203.0.113.8")) // the same network
		}
		r.Note(refused("", "198.51.100.1"))
		rows := []string{"0s 203.0.113.0/24 {}", "0s 198.51.100.0/24 {}"}
		expect("at once", rows...)
		<-time.After(500 * time.Millisecond) // of the bubble, as all of these
		for range 90 {
			r.Note(refused("", "203.0.113.7"))
			<-time.After(time.Second)
		}
		rows = append(rows, `1m0s 203.0.113.0/24 {"repeated":10059,"within_s":60}`)
		expect("after 90 s", rows...)
		<-time.After(119*time.Second + 500*time.Millisecond)
		rows = append(rows, `2m0s 203.0.113.0/24 {"repeated":30,"within_s":60}`)
		expect("when it has been quiet", rows...)
		r.Note(refused("", "203.0.113.7"))
		rows = append(rows, "3m30s 203.0.113.0/24 {}")
		expect("when it begins anew", rows...)
		r.Note(refused("", "203.0.113.7"))
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect("at the end of the process", append(rows, `3m30s 203.0.113.0/24 {"repeated":1,"within_s":0}`)...)
	})
}

// TestAFloodFromEverywhere: each refusal is of another phone from another network. The rows of a minute are
// bounded, and together they count every one.
func TestAFloodFromEverywhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const minutes, perSecond = 5, 50
		s := &shelf{}
		r := recorder(s, 1000)
		running(t, r)
		<-time.After(500 * time.Millisecond) // of the bubble
		n := 0
		for range minutes * 60 {
			for range perSecond {
				r.Note(refused(fmt.Sprintf("+919%09d", n), fmt.Sprintf("10.%d.%d.1", n>>8&255, n&255)))
				n++
			}
			r.LimitTripped("login-global")
			<-time.After(time.Second)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		counted, tripped := 0, 0
		rows := s.all()
		for _, e := range rows {
			switch e.Action {
			case auditlog.CodeNotSent:
				counted += repeats(t, e)
			case auditlog.LimitTripped:
				tripped += repeats(t, e)
				if e.Subject != "limit:login-global" || e.Actor != auditlog.System {
					t.Errorf("a limit is written as %+v", e)
				}
			}
		}
		if _, lost := r.Waiting(); counted != n || tripped != minutes*60 || lost != 0 {
			t.Errorf("rows stand for %d of %d refusals and %d of %d trips, %d lost", counted, n, tripped, minutes*60, lost)
		}
		if most := (minutes + 1) * (2*32 + 3); len(rows) > most {
			t.Errorf("%d rows, more than %d", len(rows), most)
		}
	})
}

// TestWhatIsCountedTogetherNamesNobody, and another reason is not counted with it.
func TestWhatIsCountedTogetherNamesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		r := recorder(s, 1000)
		for i := range 40 {
			r.Note(refused(fmt.Sprintf("+919%09d", i), "203.0.113.7"))
		}
		r.Note(auditlog.Event{Action: auditlog.CodeNotSent, Reason: "BUSY", Phone: "+919876543210"})
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		rows := s.all()
		if len(rows) != 34 || rows[32].Reason != "BUSY" || rows[32].PhoneHMAC == "" {
			t.Fatalf("%d rows, the last but one %+v", len(rows), rows[max(0, len(rows)-2)])
		}
		if last := rows[33]; last.Reason != "OTP_COOLDOWN" || last.PhoneHMAC != "" || last.Network != "" || repeats(t, last) != 8 {
			t.Errorf("counted together: %+v", last)
		}
	})
}
