package order_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/order"
)

// TestDiagram keeps the order's part of docs/state-machines.md what the tables say; the trip's part
// comes before it. Run with -update to write it.
func TestDiagram(t *testing.T) {
	t.Parallel()
	const file, head = "../../docs/state-machines.md", "\n## Order\n"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, got, _ := strings.Cut(string(page), head)
	want := diagram()
	if *update {
		got = want
		if err := os.WriteFile(file, []byte(before+head+want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("make generate writes it anew (-want +got):\n%s", diff)
	}
}

func diagram() string {
	var b strings.Builder
	b.WriteString("\nAn order is a customer's request for some trucks. Its status follows from its slots: `partially_filled`\n" +
		"and `fully_filled` count the drivers who have accepted. It can fall back when a truck breaks down. The end\n" +
		"of the search ends no trip: an order lives until its last one is decided.\n\n```mermaid\nstateDiagram-v2\n    [*] --> created\n")
	for _, from := range order.Statuses() {
		for _, to := range from.Next() {
			fmt.Fprintf(&b, "    %s --> %s\n", from, to)
		}
		if from.Terminal() {
			fmt.Fprintf(&b, "    %s --> [*]\n", from)
		}
	}
	b.WriteString("```\n\n| while | it waits for | ends the wait |\n|---|---|---|\n" +
		"| `created` (scheduled) | its time | timer `open`, 2 h before the pickup |\n" +
		"| a slot is searching | a transporter | timer `wave`, the next radius; timer `search`, 120 s + 60 s for the first truck + 30 s for each next |\n" +
		"| a slot is held | its transporter | timer `hold:<id>`, 90 s + 2 × 30 s, 130 s at most, never beyond the search |\n" +
		"| a slot is on a trip | the driver | the trip's own timers |\n" +
		"| an accepted truck was lost and no other found | its customer | timer `decide`, 30 min: the order ends |\n" +
		"| a dispute is open | people | timer `dispute`, 48 h: it is handed over |\n\n## Slot\n\n" +
		"A slot is one truck of an order. `assigned`: its trip waits for the driver's answer. A trip that comes to\n" +
		"nothing gives its slot back to `searching` while the search is open; one that its driver had accepted\n" +
		"opens a search of its own when it is not; else the slot is `expired`. Only the customer's wish to search\n" +
		"again leads out of `expired`.\n\n```mermaid\nstateDiagram-v2\n    [*] --> searching\n")
	for _, from := range order.SlotStatuses() {
		for _, to := range from.Next() {
			fmt.Fprintf(&b, "    %s --> %s\n", from, to)
		}
		if from.Settled() {
			fmt.Fprintf(&b, "    %s --> [*]\n", from)
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// TestTables: the tables are closed, what is settled waits for nothing, and names can be read back.
func TestTables(t *testing.T) {
	t.Parallel()
	for _, from := range order.Statuses() {
		for _, to := range from.Next() {
			if got, err := order.ParseFilter(string(to)); err != nil || got != to {
				t.Errorf("%s leads to %q, which is no status: %v", from, to, err)
			}
		}
		if from.Terminal() != (from == order.Completed || from == order.Cancelled || from == order.Expired) {
			t.Errorf("%s terminal: %v", from, from.Terminal())
		}
	}
	if _, err := order.ParseFilter("lost"); err == nil {
		t.Error("ParseFilter took a status that does not exist")
	}
	for _, s := range order.SlotStatuses() {
		kinds := 0
		for _, is := range []bool{s.Open(), s.OnTrip(), s.Settled()} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("a slot that is %s counts %d times", s, kinds)
		}
	}
}

// TestTimeScale: only waits shrink, and a meaningless scale changes nothing.
func TestTimeScale(t *testing.T) {
	t.Parallel()
	p := order.DefaultPolicy()
	fast := p.Scaled(10)
	for name, pair := range map[string][2]time.Duration{
		"search": {p.SearchFor, fast.SearchFor}, "first": {p.FirstExtension, fast.FirstExtension}, "next": {p.NextExtension, fast.NextExtension},
		"hold": {p.HoldFor, fast.HoldFor}, "hold max": {p.HoldMax, fast.HoldMax}, "hold extension": {p.HoldExtension, fast.HoldExtension},
		"lead": {p.ScheduledLead, fast.ScheduledLead}, "late": {p.ScheduledLate, fast.ScheduledLate}, "rebook": {p.RebookAfter, fast.RebookAfter},
		"rebook often": {p.RebookAfterRepeated, fast.RebookAfterRepeated}, "cancels within": {p.RepeatedWithin, fast.RepeatedWithin},
		"decide": {p.DecideWithin, fast.DecideWithin}, "look again": {p.LookAgainAfter, fast.LookAgainAfter}, "wave": {p.Waves[5].Window, fast.Waves[5].Window}, "trip": {p.Trip.AcceptWithin, fast.Trip.AcceptWithin},
		"waiting": {p.Fees.FreeWaiting, fast.Fees.FreeWaiting}, "minute": {p.Fees.Minute, fast.Fees.Minute},
	} {
		if pair[0] == 0 || pair[1]*10 != pair[0] {
			t.Errorf("%s: %s became %s", name, pair[0], pair[1])
		}
	}
	if fast.Waves[5].RadiusKM != 100 || fast.Fees.Assigned != 50 || fast.Notify != 100 ||
		fast.ScheduledAhead != p.ScheduledAhead || fast.DisputeWithin != 48*time.Hour {
		t.Errorf("what is no wait changed: %+v", fast)
	}
	if diff := cmp.Diff(p, p.Scaled(0)); diff != "" {
		t.Errorf("scale 0: %s", diff)
	}
	if diff := cmp.Diff(order.DefaultPolicy(), p); diff != "" {
		t.Errorf("scaling wrote to the policy: %s", diff)
	}
}
