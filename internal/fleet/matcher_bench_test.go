//go:build unix

package fleet_test

import (
	"fmt"
	"testing"

	"weelo/internal/fleet"
)

// BenchmarkLateComer asks about one transporter who came online within the radius of the last wave, as
// one arrival does for up to 20 orders. Its cost does not depend on how many others are there.
func BenchmarkLateComer(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g := crowd(n, crowds["crowded"])
			s := &shelf{users: []fleet.User{{ID: "t7", Role: fleet.Transporter, Available: true}}}
			s.stocks = map[fleet.UserID]map[string]fleet.Stock{"t7": {open: {Free: 1, Total: 1}}}
			m := fleet.Matcher{Locator: g, Supply: s, Users: s, Rules: fleet.DefaultMatchRules()}
			w := fleet.Wanted{Slots: map[string]int{open: 1}, At: yard, RadiusKM: 100, Only: "t7", Now: noon}
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				if table, err := m.Candidates(b.Context(), w); err != nil || len(table) != 1 {
					b.Fatalf("%v, %v", table, err)
				}
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
