package trip_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/geo"
	"weelo/internal/track"
	"weelo/internal/trip"
)

var update = flag.Bool("update", false, "write what the tests see into testdata and docs")

// start is when every script begins.
var start = time.Date(2026, 1, 26, 6, 0, 0, 0, time.UTC)

const (
	driver      = fleet.UserID("d1000000-0000-4000-8000-000000000001")
	transporter = fleet.UserID("a1000000-0000-4000-8000-000000000001")
	customer    = fleet.UserID("c1000000-0000-4000-8000-000000000001")
	stranger    = fleet.UserID("f1000000-0000-4000-8000-000000000001")
	rival       = fleet.UserID("a1000000-0000-4000-8000-000000000002")
)

// people names the ids of the tests in scripts.
var people = map[string]trip.By{
	"driver":      {User: driver, Role: fleet.Driver, Fleet: transporter},
	"former":      {User: driver, Role: fleet.Driver, Fleet: rival}, // the same driver, who drives for another by now
	"transporter": {User: transporter, Role: fleet.Transporter},
	"customer":    {User: customer, Role: fleet.Customer},
	"stranger":    {User: stranger, Role: fleet.Driver, Fleet: transporter},
	"ops":         {User: "o1", Role: fleet.Ops},
	"order":       {},
}

func assignment() trip.Assignment {
	return trip.Assignment{
		ID: "71000000-0000-4000-8000-000000000001", Driver: driver, Vehicle: "e1", Transporter: transporter, Customer: customer,
		Names:  trip.Names{Driver: "Suresh", DriverPhone: "+919123456789", Transporter: "Kaveri Roadways", Customer: "Asha", CustomerPhone: "+919876543210"},
		Truck:  trip.Vehicle{Number: "KA01AB1234", Type: "open", Subtype: "17ft"},
		Pickup: trip.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "Majestic", City: "Bengaluru"},
		Drop:   trip.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Koyambedu", City: "Chennai"},
	}
}

// TestScripts plays the business rules that stand in testdata, one per file: "> 10s accept" is a
// command ten seconds after the start, the lines below it are what came of it.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run with -update to accept (-want +got):\n%s", diff)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	t.Helper()
	var out strings.Builder
	var s trip.State
	p := trip.DefaultPolicy()
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, "> ") {
			if line == "" || strings.HasPrefix(line, "#") {
				out.WriteString(line + "\n")
			}
			continue
		}
		out.WriteString(line + "\n")
		words := strings.Fields(line[2:])
		after, err := time.ParseDuration(words[0])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		now := start.Add(after)
		var d trip.Decision
		if words[1] == "born" {
			a := assignment()
			if slices.Contains(words, "order") {
				a.OrderID, a.Slot = "b1", "s1"
			}
			p.PODCode = slices.Contains(words, "pod")
			d, err = trip.Born(a, now, p)
		} else {
			d, err = trip.Decide(s, command(t, words[1:], now), now, p)
		}
		if err == nil {
			s = d.State
		}
		if step, ok := command(t, words[1:], now).(trip.ChangeStatus); ok && err == nil {
			err = d.State.RefusedCode(step.To)
		}
		describe(t, &out, d, err)
	}
	return out.String()
}

// placed reads "12.97,77.59" or "12.97,77.59,90s": a place, and how old the fix is that says so.
func placed(t *testing.T, text string, now time.Time) *track.Fix {
	t.Helper()
	parts := strings.Split(text, ",")
	lat, err1 := strconv.ParseFloat(parts[0], 64)
	lng, err2 := strconv.ParseFloat(parts[1], 64)
	var age time.Duration
	var err3 error
	if len(parts) > 2 {
		age, err3 = time.ParseDuration(parts[2])
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	at := now.Add(-age).UnixMilli()
	return &track.Fix{TS: at, ReceivedMS: at, Lat: lat, Lng: lng}
}

// step reads "at_pickup [who] [at=place] [code=…] [new=…] [reason=…]".
func step(t *testing.T, words []string, now time.Time) trip.ChangeStatus {
	t.Helper()
	c := trip.ChangeStatus{By: people["driver"], To: trip.Status(words[0])}
	for _, word := range words[1:] {
		switch name, value, _ := strings.Cut(word, "="); name {
		case "at":
			c.Fix = placed(t, value, now)
		case "mock":
			c.Fix.Mock = true
		case "code":
			c.Code = value
		case "new":
			c.NewCode = value
		case "reason":
			c.Reason = value
		default:
			c.By = people[word]
		}
	}
	return c
}

func command(t *testing.T, words []string, now time.Time) trip.Command {
	t.Helper()
	if words[0] == "born" {
		return nil
	}
	arg := func(i int, otherwise string) string {
		if i < len(words) {
			return words[i]
		}
		return otherwise
	}
	number := func(i int) int64 {
		n, err := strconv.ParseInt(arg(i, "0"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ms := func(i int) int64 {
		after, err := time.ParseDuration(arg(i, "0s"))
		if err != nil {
			t.Fatal(err)
		}
		return start.Add(after).UnixMilli()
	}
	switch words[0] {
	case "accept":
		return trip.Accept{By: people[arg(1, "driver")]}
	case "decline":
		return trip.Decline{By: people["driver"], Reason: arg(1, "")}
	case "step":
		return step(t, words[1:], now)
	case "breakdown":
		return trip.BreakDown{By: people[arg(1, "driver")], Note: arg(2, "")}
	case "cancel":
		return trip.Cancel{By: people[arg(1, "customer")], Reason: arg(2, "")}
	case "timer":
		c := trip.TimerFired{Name: words[1], Number: number(2)}
		if len(words) > 3 {
			c.HeardMS = ms(3)
		}
		return c
	case "fix":
		c := trip.NoteFix{AtMS: ms(1)}
		if len(words) > 2 {
			fix := placed(t, words[2], now)
			c.Place = &geo.Point{Lat: fix.Lat, Lng: fix.Lng}
		}
		return c
	case "track":
		return trip.AddTrack{Track: track.Track{Whole: track.Fold{UpToMS: ms(2), Meters: float64(number(1))}}}
	}
	t.Fatalf("no such command: %v", words)
	return nil
}

func describe(t *testing.T, out *strings.Builder, d trip.Decision, err error) {
	t.Helper()
	var refusal *fault.Error
	switch {
	case errors.As(err, &refusal):
		fmt.Fprintf(out, "  refused %s %s: %s\n", refusal.Code, refusal.Reason, refusal.Message)
		return
	case err != nil:
		fmt.Fprintf(out, "  ignored: %v\n", err)
		return
	case d.Replayed:
		fmt.Fprintf(out, "  replay of %s\n", d.State.Status)
		return
	}
	live := "live"
	if !d.State.Live {
		live = "ended by " + d.State.EndedBy
	}
	fmt.Fprintf(out, "  %s, %s\n", d.State.Status, live)
	tr, _, err := d.Transition(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range tr.Events {
		var data struct{ Status, Reason, Message string }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(out, "  %s → %s", e.Type, names(e.Recipients))
		for _, word := range []string{data.Status, data.Reason, data.Message} {
			if word != "" {
				fmt.Fprintf(out, " · %s", word)
			}
		}
		out.WriteString("\n")
	}
	for _, c := range tr.Timers {
		if c.Due.IsZero() {
			fmt.Fprintf(out, "  timer %s cancelled\n", c.Name)
			continue
		}
		fmt.Fprintf(out, "  timer %s #%d at %v\n", c.Name, c.Number, c.Due.Sub(start))
	}
	for _, m := range tr.Outbox {
		fmt.Fprintf(out, "  message %s → %s\n", m.Type, m.To)
	}
}

func names(ids []string) string {
	if len(ids) == 0 {
		return "history"
	}
	called := map[string]string{string(driver): "driver", string(transporter): "transporter", string(customer): "customer"}
	var out []string
	for _, id := range ids {
		out = append(out, called[id])
	}
	return strings.Join(out, ", ")
}
