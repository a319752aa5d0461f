package hub_test

import (
	"fmt"
	"testing"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/transport/hub"
)

// nowhere is a connection that takes everything at once.
type nowhere struct{ n int }

func (n *nowhere) Write([]byte) error            { n.n++; return nil }
func (n *nowhere) TryWrite([]byte) (bool, error) { n.n++; return true, nil }
func (n *nowhere) Close(int, string)             {}

// BenchmarkPosition is what a publisher pays to show one position to n watchers of the trip, without
// the connections: per delivery it should be small against a write to a socket (about 5 µs).
func BenchmarkPosition(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld()
			for i := range n {
				s := w.Attach(hub.Attachment{Identity: identity(fmt.Sprint("c", i), fleet.Customer), Device: "d", Codec: words{join: 64}, Transport: &nowhere{}})
				plan, err := s.Plan(b.Context(), nil, time.Now())
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Begin(b.Context(), plan); err != nil {
					b.Fatal(err)
				}
				if err := s.Watch(b.Context(), "w", hub.Scope{Kind: hub.Trip, ID: "a"}); err != nil {
					b.Fatal(err)
				}
			}
			p := protocol.Position{TripID: "a", Transporter: "T"}
			b.ReportAllocs()
			for b.Loop() {
				p.Fix.N++
				w.Position(p)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
		})
	}
}
