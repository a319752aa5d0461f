package memory

import (
	"context"
	"sync"
	"time"

	"weelo/internal/otp"
)

// sweepAbove is how many entries a map may have before each insertion looks for forgettable ones.
const sweepAbove = 1024

// OTP keeps challenges, on the time it is given. It holds what lives and, after a sweep, little more.
type OTP struct {
	now func() time.Time

	mu         sync.Mutex
	challenges map[otp.Key]challenge
	nextSweep  int
}

type challenge struct {
	otp.Challenge
	until time.Time
}

var _ otp.Store = (*OTP)(nil)

// NewOTP makes an empty store.
func NewOTP(now func() time.Time) *OTP {
	return &OTP{now: now, challenges: map[otp.Key]challenge{}, nextSweep: sweepAbove}
}

// Issue adds a code.
func (s *OTP) Issue(_ context.Context, k otp.Key, c otp.Code, life, cooldown time.Duration) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	c.Expires = now.Add(life)
	after, wait := s.load(k, now).Issue(c, cooldown, now)
	if wait == 0 {
		s.sweepLocked(now)
		s.challenges[k] = challenge{after, after.Forgettable(cooldown)}
	}
	return wait, nil
}

// Withdraw takes back a code.
func (s *OTP) Withdraw(_ context.Context, k otp.Key, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.challenges[k]; ok {
		old.Challenge = old.Withdraw(id)
		s.challenges[k] = old
	}
	return nil
}

// Look tells what a try would be.
func (s *OTP) Look(_ context.Context, k otp.Key, by otp.Sender, limit int) (otp.Outlook, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	return s.load(k, now).Look(by, limit, now), nil
}

// Try counts a try.
func (s *OTP) Try(_ context.Context, k otp.Key, by otp.Sender, limit int) (otp.Attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	old, ok := s.challenges[k]
	if !ok || !now.Before(old.until) {
		return otp.Attempt{Standing: otp.Missing}, nil
	}
	var a otp.Attempt
	old.Challenge, a = old.Try(by, limit, now)
	s.challenges[k] = old
	return a, nil
}

// Consume lets one caller win.
func (s *OTP) Consume(_ context.Context, k otp.Key, c otp.Claim, window time.Duration) (otp.Claim, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	c.Until = now.Add(window)
	after, standing, won := s.load(k, now).Consume(c, now)
	if won {
		until := s.challenges[k].until
		if c.Until.After(until) {
			until = c.Until
		}
		s.challenges[k] = challenge{after, until}
	}
	return standing, won, nil
}

func (s *OTP) load(k otp.Key, now time.Time) otp.Challenge {
	old, ok := s.challenges[k]
	if !ok || !now.Before(old.until) {
		return otp.Challenge{}
	}
	return old.Challenge
}

// sweepLocked forgets what nobody can use, at most once per doubling.
func (s *OTP) sweepLocked(now time.Time) {
	if len(s.challenges) < s.nextSweep {
		return
	}
	for k, c := range s.challenges {
		if !now.Before(c.until) {
			delete(s.challenges, k)
		}
	}
	s.nextSweep = max(sweepAbove, 2*len(s.challenges))
}

// Len is how many entries are kept, for metrics.
func (s *OTP) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.challenges)
}
