package otp

import (
	"slices"
	"time"
)

// MaxCodes is how many codes of one key may live at once.
const MaxCodes = 2

// Code is what is kept of a code that was sent.
type Code struct {
	ID      string // the challenge id, told to whoever asked for the code
	Kid     string // which pepper the hash is under
	Hash    string // hex HMAC-SHA-256, see Pepper.Hash
	Binding string // what must still be true at the verification, e.g. a driver's membership
	Expires time.Time
}

// Claim is what is kept of a consumed code for as long as its device may repeat it.
type Claim struct {
	Code
	Device  string // hex HMAC of the device
	Session string // the session id that the login opened
	Until   time.Time
}

// Challenge is all that is kept under one key. The zero value is an empty one.
type Challenge struct {
	Codes    []Code // newest first
	Attempts int
	SentAt   time.Time // of the newest send; zero: none or withdrawn
	Claim    Claim
}

// Issue adds a code that was not there, gives fresh tries and starts the cool-down. While one runs it
// changes nothing and tells how long to wait.
func (c Challenge) Issue(code Code, cooldown time.Duration, now time.Time) (Challenge, time.Duration) {
	if wait := c.SentAt.Add(cooldown).Sub(now); !c.SentAt.IsZero() && wait > 0 {
		return c, wait
	}
	c = c.expire(now)
	c.Codes = append([]Code{code}, c.Codes...)
	if len(c.Codes) > MaxCodes {
		c.Codes = c.Codes[:MaxCodes]
	}
	c.Attempts, c.SentAt = 0, now
	return c, 0
}

// Withdraw takes back a code that was not sent. The newest one's cool-down ends with it.
func (c Challenge) Withdraw(id string) Challenge {
	i := slices.IndexFunc(c.Codes, func(x Code) bool { return x.ID == id })
	if i < 0 {
		return c
	}
	c.Codes = slices.Delete(slices.Clone(c.Codes), i, i+1)
	if i == 0 {
		c.SentAt = time.Time{}
	}
	return c
}

// Standing says what a try may be compared with.
type Standing int

// The standings.
const (
	Missing   Standing = iota // nothing lives under the key
	Foreign                   // the named challenge is not of this key: nothing was counted
	Exhausted                 // no tries left: nothing was counted
	Counted                   // the try was counted; compare it
)

// Attempt is one try as counted.
type Attempt struct {
	Standing Standing
	Tries    int    // used so far, this one included
	Codes    []Code // what to compare with
	Claim    *Claim // a consumed code that its device may repeat, to compare with too
}

// Sender is who tries.
type Sender struct {
	Challenge string   // the one challenge that he means; "": any of the live ones
	Devices   []string // his device as a claim would name it, see Peppers.Devices
}

// means tells whether he means a challenge.
func (s Sender) means(id string) bool { return s.Challenge == "" || s.Challenge == id }

// Try counts a try, before anybody compares. A consumed code is there for the device that won it alone: to all others
// it is gone, so that none of them uses up the tries that are left to repeat it.
func (c Challenge) Try(by Sender, limit int, now time.Time) (Challenge, Attempt) {
	c = c.expire(now)
	a := Attempt{Tries: c.Attempts}
	for _, code := range c.Codes {
		if by.means(code.ID) {
			a.Codes = append(a.Codes, code)
		}
	}
	mine := c.Claim.ID != "" && slices.Contains(by.Devices, c.Claim.Device)
	if mine && by.means(c.Claim.ID) {
		claim := c.Claim
		a.Claim = &claim
	}
	switch {
	case len(c.Codes) == 0 && !mine:
		a.Standing = Missing
	case len(a.Codes) == 0 && a.Claim == nil:
		a.Standing = Foreign
	case c.Attempts >= limit:
		a.Standing, a.Codes, a.Claim = Exhausted, nil, nil
	default:
		c.Attempts++
		a.Standing, a.Tries = Counted, c.Attempts
	}
	return c, a
}

// Outlook is what a try would be. There is nothing in it to compare with: that is had by counting.
type Outlook struct {
	Standing Standing // Counted: it would be
	Live     bool     // it would be compared with codes, not only with a claim
}

// Look tells what Try would, and counts nothing.
func (c Challenge) Look(by Sender, limit int, now time.Time) Outlook {
	_, a := c.Try(by, limit, now)
	return Outlook{a.Standing, len(a.Codes) > 0}
}

// Consume makes claim the winner if the code it names lives: every code dies, and the claim's device
// gets fresh tries to repeat. Otherwise nothing changes, and the claim that stands is given (the zero
// Claim when there is none).
func (c Challenge) Consume(claim Claim, now time.Time) (after Challenge, standing Claim, won bool) {
	c = c.expire(now)
	i := slices.IndexFunc(c.Codes, func(x Code) bool { return x.ID == claim.ID })
	if i < 0 {
		return c, c.Claim, false
	}
	claim.Code = c.Codes[i]
	c.Codes, c.Attempts, c.Claim = nil, 0, claim
	return c, claim, true
}

// expire drops what is over: at its very instant, a code has expired.
func (c Challenge) expire(now time.Time) Challenge {
	c.Codes = slices.DeleteFunc(slices.Clone(c.Codes), func(x Code) bool { return !now.Before(x.Expires) })
	if !now.Before(c.Claim.Until) {
		c.Claim = Claim{}
	}
	if len(c.Codes) == 0 && c.Claim.ID == "" {
		c.Attempts = 0
	}
	return c
}

// Forgettable tells when nothing of the challenge matters any more.
func (c Challenge) Forgettable(cooldown time.Duration) time.Time {
	end := c.Claim.Until
	for _, code := range c.Codes {
		if code.Expires.After(end) {
			end = code.Expires
		}
	}
	if !c.SentAt.IsZero() {
		if cool := c.SentAt.Add(cooldown); cool.After(end) {
			end = cool
		}
	}
	return end
}
