package trip_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/trip"
)

// TestDiagram keeps the trip's part of docs/state-machines.md what the table says; what comes after it
// is written by the order's own test. Run with -update to write it.
func TestDiagram(t *testing.T) {
	t.Parallel()
	const file, next = "../../docs/state-machines.md", "\n## Order\n"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, rest, more := strings.Cut(string(page), next)
	want := diagram()
	if *update {
		got = want
		if more {
			rest = next + rest
		}
		if err := os.WriteFile(file, []byte(want+rest), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("make generate writes it anew (-want +got):\n%s", diff)
	}
}

func diagram() string {
	var b strings.Builder
	b.WriteString("# State machines\n\nGenerated from the transition tables by `make generate`; do not edit.\n\n## Trip\n\n" +
		"A trip is one vehicle and one driver on one slot. Steps may be skipped, never undone. The apps\n" +
		"call `en_route_pickup` heading_to_pickup. `driver_declined` is also where an acceptance that timed\n" +
		"out ends, with reason timeout.\n\n```mermaid\nstateDiagram-v2\n    [*] --> pending\n")
	for _, from := range trip.Statuses() {
		for _, to := range from.Next() {
			fmt.Fprintf(&b, "    %s --> %s\n", from, to)
		}
		if from.Terminal() {
			fmt.Fprintf(&b, "    %s --> [*]\n", from)
		}
	}
	b.WriteString("```\n\n| status | waits for | ends the wait |\n|---|---|---|\n" +
		"| `pending` | the driver's answer | timer `accept`, 45 s |\n" +
		"| `driver_accepted` … `loading_complete` | the driver's next step | timer `silence`, 6 h without a sign: people are told |\n" +
		"| `in_transit`, `arrived_at_drop` | the driver's next step | timer `silence`, 12 h without a sign: people are told |\n")
	return b.String()
}

func TestStatusNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]trip.Status{
		"heading_to_pickup": trip.EnRoutePickup, "en_route_pickup": trip.EnRoutePickup, "at_pickup": trip.AtPickup,
		"loading_complete": trip.LoadingComplete, "in_transit": trip.InTransit, "arrived_at_drop": trip.ArrivedAtDrop, "completed": trip.Completed,
		"partial_delivery": trip.PartialDelivery,
	} {
		got, err := trip.ParseStep(name)
		if err != nil || got != want {
			t.Errorf("ParseStep(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "pending", "driver_accepted", "cancelled", "AT_PICKUP", "flying"} {
		if got, err := trip.ParseStep(name); err == nil {
			t.Errorf("ParseStep(%q) = %q; want a refusal", name, got)
		}
	}
	for _, s := range trip.Statuses() {
		if got, err := trip.ParseFilter(s.App()); err != nil || got != s {
			t.Errorf("ParseFilter(%q) = %q, %v", s.App(), got, err)
		}
	}
	if _, err := trip.ParseFilter("flying"); err == nil {
		t.Error("ParseFilter took a status that does not exist")
	}
}

// TestTimeScale: waits shrink, how far a truck may be away grows, and a meaningless scale changes nothing.
func TestTimeScale(t *testing.T) {
	t.Parallel()
	p := trip.DefaultPolicy()
	fast := p.Scaled(10)
	if fast.AcceptWithin*10 != p.AcceptWithin || fast.SilentInTransit*10 != p.SilentInTransit ||
		fast.SilentBeforeTransit*10 != p.SilentBeforeTransit || fast.AcceptGrace*10 != p.AcceptGrace || fast.HeardEvery*10 != p.HeardEvery {
		t.Errorf("scaled by 10: %+v", fast)
	}
	if fast.NearPickupM != 2000 || fast.NearDropM != 5000 || fast.ApproachingM != p.ApproachingM || fast.FixFresh != p.FixFresh || fast.PODLockFor*10 != p.PODLockFor {
		t.Errorf("scaled by 10: %+v", fast)
	}
	if p.Scaled(0) != p {
		t.Error("scale 0 changed the policy")
	}
}

// TestGaveBack: only a trip of an order that came to nothing, by somebody else than who wanted it, leaves its slot.
func TestGaveBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status trip.Status
		by     string
		want   bool
	}{
		{trip.DriverDeclined, "driver", true},
		{trip.DriverDeclined, "timer", true},
		{trip.Cancelled, "driver", true}, // broken down
		{trip.Cancelled, "transporter", true},
		{trip.Cancelled, "ops", true},
		{trip.Cancelled, "customer", false},
		{trip.Cancelled, "order", false},
		{trip.Completed, "driver", false},
		{trip.PartialDelivery, "driver", false},
	} {
		s := trip.State{Status: c.status, EndedBy: c.by, OrderID: "o1"}
		if got := s.GaveBack(); got != c.want {
			t.Errorf("%s by %s: %v", c.status, c.by, got)
		}
		s.OrderID = ""
		if s.GaveBack() {
			t.Errorf("%s by %s without an order gave something back", c.status, c.by)
		}
	}
	if (trip.State{Status: trip.InTransit, Live: true, OrderID: "o1"}).GaveBack() {
		t.Error("a live trip gave something back")
	}
}

// TestAsksWhere: only the driver's possible steps to a place depend on where the truck is.
func TestAsksWhere(t *testing.T) {
	t.Parallel()
	p, never := trip.DefaultPolicy(), trip.DefaultPolicy()
	never.NearPickupM, never.NearDropM = 0, 0
	by := people["driver"]
	judged := map[trip.Status]bool{trip.AtPickup: true, trip.ArrivedAtDrop: true, trip.Completed: true}
	for _, from := range trip.Statuses() {
		s := trip.State{DriverID: driver, TransporterID: transporter, Status: from}
		for _, to := range trip.Statuses() {
			step := trip.ChangeStatus{By: by, To: to}
			if got, want := s.AsksWhere(step, p), judged[to] && from.CanBecome(to); got != want {
				t.Errorf("%s to %s asks where: %v, want %v", from, to, got, want)
			}
			if s.AsksWhere(step, never) {
				t.Errorf("%s to %s asks where although no distance is too far", from, to)
			}
			if step.By.User = customer; s.AsksWhere(step, p) {
				t.Errorf("%s to %s by somebody else asks where", from, to)
			}
		}
	}
}
