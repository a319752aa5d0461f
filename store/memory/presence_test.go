package memory_test

import (
	"testing"

	"weelo/internal/presence"
	"weelo/store/memory"
	"weelo/store/storetest"
)

func TestPresence(t *testing.T) {
	t.Parallel()
	storetest.Presence(t, func(*testing.T) presence.Store { return memory.NewPresence() })
}

func TestPositions(t *testing.T) {
	t.Parallel()
	storetest.Positions(t, func(*testing.T) presence.Positions { return memory.NewPositions() })
}
