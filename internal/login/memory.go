package login

import (
	"context"
	"time"
)

// Memory is the store that limits are counted in, as far as it can tell that it forgot.
type Memory interface {
	// Changed tells why the store may have forgotten something since the last call, "" when it has not.
	// The first call only looks.
	Changed(ctx context.Context) (why string, err error)
}

// memoryEvery is how often a store is asked whether it forgot.
const memoryEvery = 2 * time.Second

// Distrust raises the posture for a while whenever the store forgot what was counted, until ctx ends: limits
// that begin anew are an invitation.
func (g *Gate) Distrust(ctx context.Context, m Memory) error {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	pending := "" // what could not be raised yet
	for {
		why, err := m.Changed(ctx)
		if err == nil && why != "" {
			pending = why
		}
		if err == nil && pending != "" && g.raise(ctx, pending) {
			pending = ""
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// raise halves the soft limits for a Doubt. Raised already, it stays so for as long as was meant then.
func (g *Gate) raise(ctx context.Context, why string) bool {
	p, err := g.cfg.Tallies.Add(ctx, "posture", g.cfg.Limits.Doubt, 1, 0)
	if err != nil {
		return false
	}
	if p.All == 1 {
		g.refusedBy("posture-raised")
		g.log.WarnContext(ctx, "posture raised: the store of limits forgot", "why", why)
	}
	return true
}
