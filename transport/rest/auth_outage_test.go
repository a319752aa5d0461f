package rest_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weelo/internal/notify"
	"weelo/internal/otp"
	"weelo/internal/servertest"
	"weelo/transport/rest/resttest"
)

// A code survives the task: everything is built anew between send and verify, on Postgres and on a
// Redis in cluster mode.
func TestACodeSurvivesTheTask(t *testing.T) {
	t.Parallel()
	p := servePair(t, servertest.RedisCluster(t))
	people(t, p)
	sms := &sink{}
	var own, driver string
	t.Run("the task that sends", func(t *testing.T) {
		k := start(t, p, options{sms: sms})
		k.send(k.Client, c1, "customer").Want(200)
		own = k.lastCode(t)
		k.driverSend(k.Client, d1).Want(200)
		driver = k.lastCode(t)
		k.verify(k.Client, c1, "customer", wrong(own)).Refused(400, "INVALID_OTP")
	})
	k := start(t, p, options{sms: sms})
	a := k.verify(k.Client, c1, "customer", wrong(own)).Refused(400, "INVALID_OTP")
	if !strings.Contains(string(a.Raw), "3 attempts") {
		t.Errorf("tries used before stay used: %s", a.Raw)
	}
	k.verify(k.Client, c1, "customer", own).Want(200)
	k.driverVerify(k.Client, d1, driver).Want(200)
	if keys := p.keys(); !slices.Contains(keys, "otp:"+c1+":customer") || !slices.Contains(keys, "driver-otp:"+d1) {
		t.Errorf("the literal keys are missing: %v", keys)
	}
}

// The provider decides what send-otp answers: refused is 503 and costs nothing, a slow one is 200 after
// three seconds at most, and meanwhile the session goes on.
func TestProviders(t *testing.T) {
	t.Parallel()
	k := start(t, devPair(t, time.Now), options{})
	people(t, k.pair)
	k.sms.fate = func(context.Context) (notify.Class, error) { return notify.Refused, errors.New("no credit") }
	a := k.send(k.Client, c1, "customer").Refused(503, "SERVICE_UNAVAILABLE")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	k.driverSend(k.Client, d1).Refused(503, "SMS_SEND_FAILED")
	log := k.log.String()
	if strings.Count(log, `"code not sent"`) != 2 || !strings.Contains(log, "no credit") || !strings.Contains(log, "+91******3210") {
		t.Errorf("each code not sent is one line that says why: %s", log)
	}
	// Six in a row: neither the cool-down nor the hourly limit counts what was not sent.
	for range 5 {
		k.send(k.Client, c1, "customer").Refused(503, "SERVICE_UNAVAILABLE")
	}
	k.verify(k.Client, c1, "customer", "123456").Refused(400, "OTP_EXPIRED")

	release := make(chan struct{})
	k.sms.mu.Lock()
	k.sms.fate = func(ctx context.Context) (notify.Class, error) {
		select {
		case <-release:
			return notify.Accepted, nil
		case <-ctx.Done():
			return notify.Undecided, ctx.Err()
		}
	}
	k.sms.mu.Unlock()
	began := time.Now()
	answered := make(chan resttest.Answer, 1)
	go func() { answered <- k.send(k.Client, c1, "customer") }()
	// While the provider thinks, the session answers others.
	eventually(t, "a try is counted while the message is on its way", func() bool {
		return k.verify(k.Client, c1, "customer", "12345x").Status == 400 && k.verify(k.Client, c1, "customer", "000000").Status == 400
	})
	(<-answered).Want(200)
	if took := time.Since(began); took < 2*time.Second || took > 9*time.Second {
		t.Errorf("answered after %v", took)
	}
	close(release)
	eventually(t, "the message goes out after the answer", func() bool { return len(k.sms.all()) == 1 })
}

// With the shared store gone nothing is sent and no try is taken for a wrong one.
func TestSharedStoreAway(t *testing.T) {
	t.Parallel()
	p := devPair(t, time.Now)
	p.codes, p.limits = awayCodes{}, awayLimits{}
	k := start(t, p, options{})
	if a := k.send(k.Client, c1, "customer").Refused(503, "SERVICE_UNAVAILABLE"); a.Header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	k.verify(k.Client, c1, "customer", "123456").Refused(503, "SERVICE_UNAVAILABLE")
	if n, err := p.fails.CountFails(t.Context(), "+91"+c1, time.Time{}); n != 0 || err != nil {
		t.Errorf("%d failed tries, %v", n, err)
	}
	if len(k.sms.all()) != 0 {
		t.Error("a message went out")
	}
}

type awayCodes struct{ otp.Store }

func (awayCodes) Issue(context.Context, otp.Key, otp.Code, time.Duration, time.Duration) (time.Duration, error) {
	return 0, errors.New("connection refused")
}

func (awayCodes) Look(context.Context, otp.Key, otp.Sender, int) (otp.Outlook, error) {
	return otp.Outlook{}, errors.New("connection refused")
}

func (awayCodes) Try(context.Context, otp.Key, otp.Sender, int) (otp.Attempt, error) {
	return otp.Attempt{}, errors.New("connection refused")
}

type awayLimits struct{ otp.Limits }

func (awayLimits) Take(context.Context, string, string, []otp.Window) (time.Duration, error) {
	return 0, errors.New("connection refused")
}

// FLUSHALL costs the codes on their way, and nothing else: sessions go on, revoked ones stay revoked.
func TestFlushAll(t *testing.T) {
	t.Parallel()
	p := servePair(t, servertest.Redis(t))
	k := start(t, p, options{})
	in, out := k.login(t, k.Client, c1, "customer"), k.login(t, k.Client, "9876543211", "customer")
	k.As(out.Tokens.AccessToken).Call(http.MethodPost, api+"/auth/logout", nil).Want(200)
	k.send(k.Client, "9876543212", "customer").Want(200)
	code := k.lastCode(t)
	for range 3 {
		k.verify(k.Client, "9876543212", "customer", wrong(code)).Refused(400, "INVALID_OTP")
	}
	if err := p.flush(); err != nil {
		t.Fatal(err)
	}
	k.verify(k.Client, "9876543212", "customer", code).Refused(400, "OTP_EXPIRED")
	k.me(in.Tokens.AccessToken).Want(200)
	k.refresh(in.Tokens.RefreshToken).Want(200)
	k.refresh(out.Tokens.RefreshToken).Refused(401, "INVALID_REFRESH_TOKEN")
	k.me(out.Tokens.AccessToken).Refused(401, "UNAUTHORIZED")
	if n, err := p.fails.CountFails(t.Context(), "+919876543212", time.Time{}); n != 3 || err != nil {
		t.Errorf("%d failed tries are remembered, %v", n, err)
	}
	k.login(t, k.Client, "9876543212", "customer")
}

// With Redis killed nothing is sent and no try is wrong, but sessions go on; when it is back, so is login.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	server := servertest.PrivateRedis(t)
	p := pairOn(t, servertest.Database(t), server.URL())
	k := start(t, p, options{})
	in := k.login(t, k.Client, c1, "customer")
	server.Kill(t)
	if a := k.send(k.Client, "9876543211", "customer").Refused(503, "SERVICE_UNAVAILABLE"); a.Header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	k.verify(k.Client, "9876543211", "customer", "123456").Refused(503, "SERVICE_UNAVAILABLE")
	k.As(in.Tokens.AccessToken).Call(http.MethodPost, api+"/ws-tickets", nil).Refused(503, "SERVICE_UNAVAILABLE")
	k.me(in.Tokens.AccessToken).Want(200)
	k.refresh(in.Tokens.RefreshToken).Want(200)
	if n := len(k.sms.all()); n != 1 {
		t.Errorf("%d messages", n)
	}
	server.Start(t)
	eventually(t, "login works again", func() bool { return k.send(k.Client, "9876543211", "customer").Status == 200 })
	k.verify(k.Client, "9876543211", "customer", k.lastCode(t)).Want(200)
}

// With Postgres killed the own code is still sent, a driver's is not, and no code is burned: the same
// one works when it is back.
func TestPostgresKilled(t *testing.T) {
	t.Parallel()
	server := servertest.PrivatePostgres(t)
	p := pairOn(t, server.Database(t), servertest.Redis(t))
	people(t, p)
	k := start(t, p, options{})
	in := k.login(t, k.Client, c1, "customer")
	server.Kill(t)
	k.send(k.Client, "9876543211", "customer").Want(200)
	code := k.lastCode(t)
	k.driverSend(k.Client, d1).Refused(503, "SERVICE_UNAVAILABLE")
	k.verify(k.Client, "9876543211", "customer", code).Refused(503, "SERVICE_UNAVAILABLE")
	// 401 would make the apps wipe their tokens.
	k.refresh(in.Tokens.RefreshToken).Refused(503, "SERVICE_UNAVAILABLE")
	server.Start(t)
	eventually(t, "the code works", func() bool { return k.verify(k.Client, "9876543211", "customer", code).Status == 200 })
	k.refresh(in.Tokens.RefreshToken).Want(200)
}
