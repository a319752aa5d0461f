package actors_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/login"
	"weelo/internal/notify"
	"weelo/internal/otp"
	"weelo/internal/session"
	"weelo/store/memory"
)

var loginKey = otp.Key{Flow: otp.Own, Role: fleet.Customer, Phone: "+919876543210"}

// slowCodes is the memory store with a gate in front of Try.
type slowCodes struct {
	otp.Store
	gate    chan struct{} // nil: open
	inside  atomic.Int32
	most    atomic.Int32
	explode atomic.Bool
}

func (s *slowCodes) Try(ctx context.Context, k otp.Key, by otp.Sender, limit int) (otp.Attempt, error) {
	s.most.Store(max(s.most.Load(), s.inside.Add(1)))
	defer s.inside.Add(-1)
	if s.explode.Load() {
		panic("a bug")
	}
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return otp.Attempt{}, ctx.Err()
		}
	}
	return s.Store.Try(ctx, k, by, limit)
}

// noFails and onePerson are the durable side, of which these tests ask nothing.
type noFails struct{ otp.Fails }

func (noFails) CountFails(context.Context, string, time.Time) (int, error) { return 0, nil }
func (noFails) Reserve(context.Context, string, time.Time, time.Time, int) (int64, error) {
	return 1, nil
}
func (noFails) Release(context.Context, int64) error     { return nil }
func (noFails) ClearFails(context.Context, string) error { return nil }

type onePerson struct{ session.Users }

func (onePerson) Enrol(_ context.Context, u fleet.User) (fleet.User, bool, error) {
	u.ID = "u1"
	return u, true, nil
}

type oneSession struct{}

func (oneSession) Open(_ context.Context, sid string, u fleet.User, _ string, _ time.Time) (session.Pair, error) {
	return session.Pair{Access: "access of " + sid, Refresh: "refresh of " + sid}, nil
}

// inbox is the provider: it keeps codes, slowly if told so.
type inbox struct {
	mu    sync.Mutex
	codes []string
	takes time.Duration
}

func (i *inbox) Send(ctx context.Context, s notify.SMS, _ func(notify.Class, error)) (notify.Class, error) {
	i.mu.Lock()
	i.codes = append(i.codes, s.Code)
	i.mu.Unlock()
	select {
	case <-time.After(i.takes):
		return notify.Accepted, nil
	case <-ctx.Done():
		return notify.Undecided, ctx.Err()
	}
}

func (i *inbox) last() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.codes[len(i.codes)-1]
}

func startLogins(t *testing.T, codes *slowCodes, sms *inbox) (*actors.System, *actors.Logins) {
	t.Helper()
	codes.Store = memory.NewOTP(time.Now)
	desk, err := login.New(login.Config{
		Codes: codes, Limits: memory.NewLimits(time.Now), Fails: noFails{}, Users: onePerson{}, Sessions: oneSession{}, SMS: sms,
		Peppers: otp.Peppers{otp.PepperOf([]byte("pepper-for-tests-0123456789abcdefgh"))}, Policy: otp.DefaultPolicy(),
		Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := actortest.Start(t, actors.Config{Log: slog.New(slog.DiscardHandler)}, actors.OTPSessions(desk))
	return s, actors.NewLogins(s)
}

func submit(l *actors.Logins, code, device string) (*protocol.LoggedIn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return l.SubmitCode(ctx, &protocol.SubmitCode{Key: loginKey, Code: code, Device: device})
}

func reason(err error) string {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// A slow provider holds up its own request for three seconds at most, and no other step at all.
func TestOTPSessionDoesNotWaitForTheProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sms := &inbox{takes: time.Hour}
		_, logins := startLogins(t, &slowCodes{}, sms)
		sent := make(chan time.Duration, 1)
		began := time.Now()
		go func() {
			if _, err := logins.SendCode(t.Context(), &protocol.SendCode{Key: loginKey}); err != nil {
				t.Error(err)
			}
			sent <- time.Since(began)
		}()
		synctest.Wait()
		in, err := submit(logins, sms.last(), "d1")
		if err != nil || in.User.ID != "u1" || time.Since(began) != 0 {
			t.Errorf("logged in %+v, %v after %v", in, err, time.Since(began))
		}
		if took := <-sent; took != login.ProviderWait {
			t.Errorf("answered after %v", took)
		}
	})
}

// Steps of one phone are done one at a time; what does not fit in the queue is refused at once, and
// everybody is answered.
func TestOTPSessionIsBoundedAndInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		codes := &slowCodes{}
		_, logins := startLogins(t, codes, &inbox{})
		if _, err := logins.SendCode(t.Context(), &protocol.SendCode{Key: loginKey}); err != nil {
			t.Fatal(err)
		}
		codes.gate = make(chan struct{})
		const crowd = 200
		reasons := make(chan string, crowd)
		for range crowd {
			go func() {
				_, err := submit(logins, "000000", "d")
				reasons <- reason(err)
			}()
		}
		synctest.Wait()
		busy := len(reasons)
		if busy < crowd-2*32-1 || busy > crowd-32 {
			t.Errorf("%d of %d were refused at once", busy, crowd)
		}
		close(codes.gate)
		got := map[string]int{}
		for range crowd {
			got[<-reasons]++
		}
		if got["BUSY"] != busy || got["INVALID_OTP"]+got["MAX_ATTEMPTS"] != crowd-busy || got["INVALID_OTP"] != 4 || codes.most.Load() != 1 {
			t.Errorf("%v, at most %d at once", got, codes.most.Load())
		}
	})
}

// A step that panics is answered, costs only itself, and the session goes on.
func TestOTPSessionSurvivesABug(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		codes, sms := &slowCodes{}, &inbox{}
		_, logins := startLogins(t, codes, sms)
		if _, err := logins.SendCode(t.Context(), &protocol.SendCode{Key: loginKey}); err != nil {
			t.Fatal(err)
		}
		codes.explode.Store(true)
		if _, err := submit(logins, sms.last(), "d"); reason(err) != actors.ErrInterrupted.Reason {
			t.Errorf("the step that panicked: %v", err)
		}
		codes.explode.Store(false)
		if _, err := submit(logins, sms.last(), "d"); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

// A session leaves memory when its codes are over; the store decides what a late try meets.
func TestOTPSessionLeavesMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sms := &inbox{}
		system, logins := startLogins(t, &slowCodes{}, sms)
		if _, err := logins.SendCode(t.Context(), &protocol.SendCode{Key: loginKey}); err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Minute)
		if n := system.Live(protocol.KindOTP); n != 1 {
			t.Errorf("%d in memory while the code lives", n)
		}
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if n := system.Live(protocol.KindOTP); n != 0 {
			t.Errorf("%d in memory after it", n)
		}
		if _, err := submit(logins, sms.last(), "d"); reason(err) != "OTP_EXPIRED" {
			t.Errorf("a late try: %v", err)
		}
	})
}

func TestOTPAddressesHideThePhone(t *testing.T) {
	t.Parallel()
	a, b := protocol.OTPAddress(loginKey), protocol.OTPAddress(otp.Key{Flow: otp.Own, Role: fleet.Transporter, Phone: loginKey.Phone})
	if a == b || a != protocol.OTPAddress(loginKey) || len(a.ID) != 16 {
		t.Errorf("%v %v", a, b)
	}
}
