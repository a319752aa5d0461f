package otp

import (
	"context"
	"time"
)

// Store keeps challenges. Each method is one atomic step on one key, by the store's own clock, so
// that two tasks that work on one key at once cannot undo each other's counting.
type Store interface {
	// Issue adds a code that lives for life; see Challenge.Issue. wait > 0: refused by the cool-down.
	// The code's Expires is set by the store.
	Issue(ctx context.Context, k Key, c Code, life, cooldown time.Duration) (wait time.Duration, err error)
	// Withdraw takes back a code that was not sent; unknown ones are no error.
	Withdraw(ctx context.Context, k Key, id string) error
	// Look tells what a try would be and changes nothing; see Challenge.Look.
	Look(ctx context.Context, k Key, by Sender, limit int) (Outlook, error)
	// Try counts a try; see Challenge.Try.
	Try(ctx context.Context, k Key, by Sender, limit int) (Attempt, error)
	// Consume lets one caller win; see Challenge.Consume. The claim's Until is set by the store, window
	// from now.
	Consume(ctx context.Context, k Key, c Claim, window time.Duration) (standing Claim, won bool, err error)
}

// Window is one limit: at most Max events in any span of Per.
type Window struct {
	Max int
	Per time.Duration
}

// Limits counts events under a key exactly, over sliding windows.
type Limits interface {
	// Take counts one event named id, unless a window is full; then nothing is counted and wait tells
	// when the fullest has room again.
	Take(ctx context.Context, key, id string, windows []Window) (wait time.Duration, err error)
	// Wait is Take without counting.
	Wait(ctx context.Context, key string, windows []Window) (wait time.Duration, err error)
	// Return takes an event back.
	Return(ctx context.Context, key, id string) error
}

// Fails is the durable count of failed tries: what no flush of Redis may forget. phone is E.164.
type Fails interface {
	// Reserve counts a try as failed before anybody compares it, unless most of them are counted after since
	// already: then try is 0. It is one atomic step, so that of many tries at once no more pass than are left.
	Reserve(ctx context.Context, phone string, at, since time.Time, most int) (try int64, err error)
	// Release takes a try back that did not fail; one that is gone is no error.
	Release(ctx context.Context, try int64) error
	// CountFails counts failures after since.
	CountFails(ctx context.Context, phone string, since time.Time) (int, error)
	ClearFails(ctx context.Context, phone string) error
	// PruneFails removes failures before, at most limit, and gives how many.
	PruneFails(ctx context.Context, before time.Time, limit int) (int, error)
}

// Policy is the numbers of design §8.
type Policy struct {
	Life        time.Duration // of a code
	Cooldown    time.Duration // between two sends of one key
	Tries       int           // per send
	ClaimWindow time.Duration // in which the winning device may repeat its code

	PerDestination []Window // codes to one phone, over its owner's own roles
	DriverFloor    int      // driver codes an hour to one transporter: at least this, else twice the drivers
	Unknown        Window   // unknown driver numbers from one address or device

	OnboardLife   time.Duration // of a code that takes a driver into a fleet
	OnboardTries  int           // per send of one
	OnboardLimits []Window      // such codes that one transporter may ask for

	FailCeiling int           // failed tries per phone …
	FailWindow  time.Duration // … in this time
	Lane        Window        // tries of a device that has logged in before, once the ceiling is reached
}

// DefaultPolicy is design §8.
func DefaultPolicy() Policy {
	return Policy{
		Life: 5 * time.Minute, Cooldown: 30 * time.Second, Tries: 5, ClaimWindow: 30 * time.Second,
		PerDestination: []Window{{5, time.Hour}, {10, 24 * time.Hour}}, DriverFloor: 10, Unknown: Window{10, 15 * time.Minute},
		OnboardLife: 10 * time.Minute, OnboardTries: 3, OnboardLimits: []Window{{20, time.Hour}},
		FailCeiling: 15, FailWindow: 24 * time.Hour, Lane: Window{5, time.Hour},
	}
}

// DriverCodes is how many driver codes a transporter with that many drivers may get.
func (p Policy) DriverCodes(drivers int) []Window {
	hour := time.Hour
	if len(p.PerDestination) > 0 {
		hour = p.PerDestination[0].Per // scaled like the others
	}
	return []Window{{Max: max(p.DriverFloor, 2*drivers), Per: hour}}
}

// Scaled divides every time by n, for tests (LOGIN_TIME_SCALE).
func (p Policy) Scaled(n float64) Policy {
	if n <= 0 || n == 1 {
		return p
	}
	by := func(d time.Duration) time.Duration { return max(time.Millisecond, time.Duration(float64(d)/n)) }
	p.Life, p.Cooldown, p.ClaimWindow, p.FailWindow = by(p.Life), by(p.Cooldown), by(p.ClaimWindow), by(p.FailWindow)
	p.Unknown.Per, p.Lane.Per = by(p.Unknown.Per), by(p.Lane.Per)
	p.OnboardLife = by(p.OnboardLife)
	all := func(windows []Window) []Window {
		scaled := make([]Window, len(windows))
		for i, w := range windows {
			scaled[i] = Window{w.Max, by(w.Per)}
		}
		return scaled
	}
	p.PerDestination, p.OnboardLimits = all(p.PerDestination), all(p.OnboardLimits)
	return p
}

// Of gives how long a code of a flow lives and how many tries it has.
func (p Policy) Of(f Flow) (life time.Duration, tries int) {
	if f == Onboard {
		return p.OnboardLife, p.OnboardTries
	}
	return p.Life, p.Tries
}
