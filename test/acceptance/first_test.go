package acceptance

import (
	"slices"
	"testing"
	"time"

	"weelo/internal/servertest"
)

// TestFirstPositionComesSoon starts dev on an empty folder and waits for the first position at a
// customer of the moving fleet. Figures belong to benchmarks, so the time is printed; what fails is a
// start after which nothing moves.
func TestFirstPositionComesSoon(t *testing.T) {
	t.Parallel()
	servertest.Program(t) // built before the clock runs
	var took []time.Duration
	for range 5 {
		begun := time.Now()
		s := &stage{name: "dev"}
		dir := t.TempDir()
		s.server = servertest.Serve(t, environment(), "dev", "--dir", dir)
		token := mapToken(t, s.server.Base)
		p := s.connect(t, token, "watcher", nil)
		if err := p.Watch(t.Context(), "w1", "all", ""); err != nil {
			t.Fatal(err)
		}
		eventually(t, 60*time.Second, "a first position", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.positions) > 0
		})
		took = append(took, time.Since(begun))
		p.end()
		s.server.Kill()
	}
	slices.Sort(took)
	t.Logf("from the start of the process to the first position at a watcher: %v, median %v", took, took[2])
}
