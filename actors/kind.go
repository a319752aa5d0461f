package actors

import (
	"context"
	"errors"
	"time"
)

// Actor is the behaviour and the live state of one activation. The runtime calls it with one
// message at a time, so its fields need no lock.
type Actor interface {
	// Receive handles one message. The context carries the sender's trace and outlives the sender;
	// it has no deadline, so each call of a port sets one. Slow I/O goes through Self.Go.
	// A panic ends the activation; the next message starts a new one from the store.
	Receive(ctx context.Context, msg any, reply Reply)
	// Passivate asks an idle actor to leave memory, and any actor when the task drains (Self.Draining).
	// False means: not now, I wait for something.
	Passivate(ctx context.Context) bool
}

// Stopper is an Actor that wants to know that its activation has ended, for whatever reason:
// passivated, left, crashed or drained. It is called once, in the actor's turn.
type Stopper interface {
	Stopped()
}

// Kind is how actors of one sort are made and bounded.
type Kind struct {
	// Name is the first half of the address.
	Name string
	// New makes an activation, off the actor's turn: it may load and claim, within StartTimeout.
	// Messages wait meanwhile. An error goes to everybody who waits and leaves no activation.
	New func(ctx context.Context, self *Self) (Actor, error)
	// Queue bounds the messages that wait for one actor. More are refused with ErrBusy.
	Queue int
	// Idle is how long an actor without messages stays in memory; it leaves within 1.25 × Idle.
	Idle time.Duration
	// MaxLive bounds the actors of this kind on one task.
	MaxLive int
	// StartTimeout bounds New; 0 is 5 s.
	StartTimeout time.Duration
	// MaxStarts bounds how many New run at once; 0 is 64.
	MaxStarts int
}

func (k *Kind) validate() error {
	var problems []error
	if k.Name == "" {
		problems = append(problems, errors.New("actors: a kind needs a name"))
	}
	if k.New == nil {
		problems = append(problems, errors.New("actors: kind "+k.Name+" needs New"))
	}
	if k.Queue <= 0 || k.MaxLive <= 0 || k.Idle <= 0 {
		problems = append(problems, errors.New("actors: kind "+k.Name+" needs Queue, MaxLive and Idle above 0"))
	}
	if k.StartTimeout == 0 {
		k.StartTimeout = 5 * time.Second
	}
	if k.MaxStarts == 0 {
		k.MaxStarts = 64
	}
	return errors.Join(problems...)
}
