package history

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"weelo/internal/track"
)

// Config sizes a Recorder. The zero value of a field means its default.
type Config struct {
	// Linger is how long the first batch of a group waits for company; ≤ 250 ms. While a group
	// commits the next one collects anyway. Default 200 ms: a phone can wait, a commit costs the same
	// for ten batches as for one.
	Linger time.Duration
	// MaxRows closes a group early. Default 1024.
	MaxRows int
	// Queue is how many batches may wait before callers are refused with BUSY. Default 1024.
	Queue int
	// CommitTimeout bounds one group, windows and commit together. Default 5 s.
	CommitTimeout time.Duration
	// NoteEvery is how often unacknowledged native fixes are flushed. Default 1 s.
	NoteEvery time.Duration
	// MaxNotes bounds the fixes waiting for that flush; the oldest is dropped. Default 65,536
	// (about 7 MB, 13 s of 5,000 drivers at one fix a second).
	MaxNotes int
	// Drivers is how many drivers' live filters and windows are remembered. Default 20,000.
	Drivers int
	// Rules are the thresholds of the live filter. Default track.DefaultRules.
	Rules track.Rules
	// Observe is told of every commit that wrote: how many fixes it held and how long it took, windows
	// included. Default: nobody is told.
	Observe func(fixes int, took time.Duration)
	// Tracer traces what came with a trace. Default: the global provider's.
	Tracer trace.Tracer
}

// MaxLinger is the design's bound on how long a batch may wait for its group.
const MaxLinger = 250 * time.Millisecond

// Validate fills defaults and names everything wrong.
func (c *Config) Validate() error {
	defaults := Config{
		Linger: 200 * time.Millisecond, MaxRows: 1024, Queue: 1024, CommitTimeout: 5 * time.Second,
		NoteEvery: time.Second, MaxNotes: 65536, Drivers: 20000,
	}
	fill(&c.Linger, defaults.Linger)
	fill(&c.MaxRows, defaults.MaxRows)
	fill(&c.Queue, defaults.Queue)
	fill(&c.CommitTimeout, defaults.CommitTimeout)
	fill(&c.NoteEvery, defaults.NoteEvery)
	fill(&c.MaxNotes, defaults.MaxNotes)
	fill(&c.Drivers, defaults.Drivers)
	if c.Rules == (track.Rules{}) {
		c.Rules = track.DefaultRules()
	}
	if c.Observe == nil {
		c.Observe = func(int, time.Duration) {}
	}
	if c.Tracer == nil {
		c.Tracer = otel.Tracer("weelo/internal/history")
	}
	var errs []error
	if c.Linger < 0 || c.Linger > MaxLinger {
		errs = append(errs, fmt.Errorf("history: linger %s is not within 0…%s", c.Linger, MaxLinger))
	}
	if c.MaxRows < 1 || c.Queue < 1 || c.CommitTimeout < 0 || c.NoteEvery < 0 || c.MaxNotes < 1 || c.Drivers < 1 {
		errs = append(errs, errors.New("history: sizes and times must be positive"))
	}
	return errors.Join(errs...)
}

func fill[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}
