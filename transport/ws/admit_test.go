package ws_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/token"
	"weelo/transport/ws"
)

// doorkeeper is who may open a socket: so many times each.
type doorkeeper struct{ opened atomic.Int64 }

func (d *doorkeeper) admit(most int64) option {
	return func(c *ws.Config) {
		c.Admit = func(_ context.Context, who token.Identity) time.Duration {
			if who.UserID != "C1" || d.opened.Add(1) <= most {
				return 0
			}
			return 6 * time.Second
		}
	}
}

// TestWhoOpensSocketsTooOftenWaits: he is told so and closed with 4429, which clients take as "later".
// Nobody else waits, and a stranger is not counted.
func TestWhoOpensSocketsTooOftenWaits(t *testing.T) {
	keeper := &doorkeeper{}
	bubble(t, func(t *testing.T, s *server) {
		for range 3 {
			s.connect(t, "C1", fleet.Customer)
		}
		stranger := s.open(t)
		stranger.send(`{"t":"hello","token":"forged"}`)
		if code, _ := stranger.end(); code != 4401 {
			t.Errorf("a stranger is closed with %d", code)
		}
		p := s.open(t)
		p.send(`{"t":"hello","token":"` + s.login("C1", fleet.Customer, time.Hour) + `"}`)
		code, before := p.end()
		if code != 4429 || len(before) != 1 || !strings.Contains(before[0], `"RATE_LIMITED"`) || !strings.Contains(before[0], `"retryable":true`) {
			t.Errorf("closed with %d after %v", code, before)
		}
		if s.refusals("RATE_LIMITED") != 1 || keeper.opened.Load() != 4 {
			t.Errorf("%d refused, %d counted", s.refusals("RATE_LIMITED"), keeper.opened.Load())
		}
		s.connect(t, "C2", fleet.Customer)
	}, keeper.admit(3))
}

// TestTheClientSurvivesThatItComesTooOften: cut off more often than he may come, the product's client backs
// off and is there again.
func TestTheClientSurvivesThatItComesTooOften(t *testing.T) {
	refusals := atomic.Int64{}
	bubble(t, func(t *testing.T, s *server) {
		c := s.session(t, "C1", fleet.Customer)
		for f := range c.Frames() {
			if f.T == "welcome" {
				break
			}
		}
		if refusals.Load() != 5 {
			t.Errorf("refused %d times", refusals.Load())
		}
	}, func(c *ws.Config) {
		c.Admit = func(context.Context, token.Identity) time.Duration {
			if refusals.Load() < 5 {
				refusals.Add(1)
				return time.Second
			}
			return 0
		}
	})
}
