package actors

import "time"

// Observer is told what the runtime does, for metrics. Its methods are called from many goroutines,
// often with a lock held: they count and return.
type Observer interface {
	// Activated: an actor was started, or could not be.
	Activated(kind string, took time.Duration, err error)
	// Stopped: an activation ended, because passivated, left, crashed or drained.
	Stopped(kind, reason string)
	// Live is how many actors of the kind are in memory, told at each sweep.
	Live(kind string, actors int)
	// Depth is the queue length of one sampled actor (1 in 64 at each sweep).
	Depth(kind string, queued int)
	// Refused: a message was refused before it was sent, with the reason's word.
	Refused(kind, reason string)
	// DeadLetter: a message was accepted and then nobody could take it.
	DeadLetter(kind string)
	// Panicked: a message broke its actor. The message "New" is the making of one.
	Panicked(kind, message string)
	// TakenOut: an actor broke too often, and nothing reaches it until it is released.
	TakenOut(kind string)
}

// Why an activation ended, as told to Observer.Stopped.
const (
	stoppedPassivated = "passivated"
	stoppedLeft       = "left"
	stoppedCrashed    = "crashed"
)

// Silent observes nothing.
type Silent struct{}

var _ Observer = Silent{}

// Activated does nothing.
func (Silent) Activated(string, time.Duration, error) {}

// Stopped does nothing.
func (Silent) Stopped(string, string) {}

// Live does nothing.
func (Silent) Live(string, int) {}

// Depth does nothing.
func (Silent) Depth(string, int) {}

// Refused does nothing.
func (Silent) Refused(string, string) {}

// DeadLetter does nothing.
func (Silent) DeadLetter(string) {}

// Panicked does nothing.
func (Silent) Panicked(string, string) {}

// TakenOut does nothing.
func (Silent) TakenOut(string) {}
