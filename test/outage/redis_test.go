package outage

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"weelo/internal/client"
)

// TestRedisDown: nobody gets a code and no try is counted; whoever is logged in stays so, and can be logged out.
func TestRedisDown(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	s := w.serve(t)
	waiting, inside, other := w.phone("7010000001", "customer"), w.phone("7010000002", "customer"), w.phone("7010000003", "customer")
	code := waiting.code(t, s)
	tokens, others := inside.login(t, s), other.login(t, s)
	conn := inside.socket(t, s, tokens.AccessToken)
	end := closed(t, conn)
	stays := other.socket(t, s, others.AccessToken)
	_ = closed(t, stays)
	watches := w.phone("7010013008", "customer")
	truck := w.crew(t, s, "7010011005", "7010012006").stream(t, s, watches, watches.login(t, s))

	w.redis.Kill(t)
	stranger := w.phone("7010000004", "customer")
	tryAgain(t, "send without Redis", stranger.send(t, s))
	if n := len(w.messages(t, stranger.number)); n != 0 {
		t.Errorf("%d messages without Redis", n)
	}
	for range 6 {
		tryAgain(t, "verify without Redis", waiting.verify(t, s, wrong(code)))
	}
	a := other.refresh(t, s, others.RefreshToken)
	if a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
		t.Errorf("refresh without Redis: %d %s", a.Status, a.Body)
	}
	if code := health(t, s, "/health/ready"); code != http.StatusOK {
		t.Errorf("ready without Redis: %d; a Redis that is away must not take every task out", code)
	}
	if code := health(t, s, "/health/live"); code != http.StatusOK {
		t.Errorf("live without Redis: %d", code)
	}
	alive(t, conn)
	alive(t, stays)
	truck.goesOn(t, "without Redis")
	if err := inside.api(s).As(tokens.AccessToken).Call(t.Context(), http.MethodPost, "auth/logout", nil, nil); err != nil {
		t.Errorf("logout without Redis: %v", err)
	}
	select {
	case code := <-end:
		if code != 4401 {
			t.Errorf("the socket of who was logged out is closed with %d, not 4401", code)
		}
	case <-time.After(15 * time.Second):
		t.Error("the socket of who was logged out stays open without Redis")
	}
	alive(t, stays)
	refused(t, "refresh after the logout", inside.refresh(t, s, tokens.RefreshToken), http.StatusUnauthorized)

	w.redis.Start(t) // empty: this Redis keeps nothing
	eventually(t, 20*time.Second, "codes are sent again", func() bool { return stranger.send(t, s).Status == http.StatusOK })
	refused(t, "the lost code", waiting.verify(t, s, code), http.StatusBadRequest, "OTP_EXPIRED")
	truck.goesOn(t, "with Redis again")
}

// proxy stands between the server and Redis and answers late, or with another time, by as much as it is told.
type proxy struct {
	addr  string
	delay atomic.Int64 // ns
	skew  atomic.Int64 // s
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &proxy{addr: l.Addr().String()}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(in, to)
		}
	}()
	return p
}

func (p *proxy) carry(in net.Conn, to string) {
	out, err := net.Dial("tcp", to)
	if err != nil {
		_ = in.Close()
		return
	}
	go func() {
		_, _ = io.Copy(out, in)
		_ = out.Close()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := out.Read(buffer)
		if wait := time.Duration(p.delay.Load()); wait > 0 {
			<-time.After(wait)
		}
		if n > 0 {
			if _, err := in.Write(skewed(buffer[:n], p.skew.Load())); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_ = in.Close()
	_ = out.Close()
}

// TestRedisSlow: a Redis that answers after two seconds is as good as none; nobody waits for it, and no try
// is counted that was not answered.
func TestRedisSlow(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	p := newProxy(t, w.redis.Addr())
	w.cache = "redis://" + p.addr
	s := w.serve(t)
	inside, stranger := w.phone("7010001001", "customer"), w.phone("7010001002", "customer")
	tokens := inside.login(t, s)
	conn := inside.socket(t, s, tokens.AccessToken)
	_ = closed(t, conn)

	p.delay.Store(int64(2 * time.Second))
	inTime := func(what string, ask func() client.Answer) client.Answer {
		begun := time.Now()
		a := ask()
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("%s is answered after %v", what, took)
		}
		return a
	}
	tryAgain(t, "send", inTime("send", func() client.Answer { return stranger.send(t, s) }))
	tryAgain(t, "verify", inTime("verify", func() client.Answer { return stranger.verify(t, s, "123456") }))
	if n := len(w.messages(t, stranger.number)); n != 0 {
		t.Errorf("%d messages of a send that was refused", n)
	}
	if code := health(t, s, "/health/ready"); code != http.StatusOK {
		t.Errorf("ready with a slow Redis: %d", code)
	}
	a := inTime("refresh", func() client.Answer { return inside.refresh(t, s, tokens.RefreshToken) })
	if a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
		t.Errorf("refresh: %d %s", a.Status, a.Body)
	}
	alive(t, conn)
	// Once half of what is asked fails, nobody waits any more.
	eventually(t, 60*time.Second, "a slow Redis is left alone", func() bool {
		begun := time.Now()
		tryAgain(t, "send, again", stranger.send(t, s))
		return time.Since(begun) < 500*time.Millisecond
	})

	p.delay.Store(0)
	later := w.phone("7010001003", "customer")
	eventually(t, 20*time.Second, "codes are sent again", func() bool { return later.send(t, s).Status == http.StatusOK })
}

// TestTimeForRedis: how long a command may take is the environment's: a Redis that answers after a fifth of a second is
// too slow for a server that gives it a tenth, and good enough for one that gives it five seconds.
func TestTimeForRedis(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	p := newProxy(t, w.redis.Addr())
	w.cache = "redis://" + p.addr
	hasty, patient := w.serve(t, "REDIS_TIMEOUT=100ms"), w.serve(t, "REDIS_TIMEOUT=5s")
	p.delay.Store(int64(200 * time.Millisecond))
	one, two := w.phone("7010005001", "customer"), w.phone("7011005002", "customer")
	tryAgain(t, "send with a tenth of a second", one.send(t, hasty))
	accepted(t, "send with five seconds", two.send(t, patient))
	p.delay.Store(0)
	// A step that is slow once more may leave the phone its cool-down.
	eventually(t, 90*time.Second, "codes are sent again", func() bool { return one.send(t, hasty).Status == http.StatusOK })
}

// TestLimitsAfterAFlush: what was counted is gone, so half as much is let through for a while.
func TestLimitsAfterAFlush(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	s := w.serve(t)
	cache := redis.NewClient(&redis.Options{Addr: w.redis.Addr(), Protocol: 2})
	t.Cleanup(func() { _ = cache.Close() })
	eventually(t, 20*time.Second, "the server notices", func() bool {
		if err := cache.FlushAll(t.Context()).Err(); err != nil { // again and again: it may not have looked before
			t.Fatal(err)
		}
		return strings.Contains(s.Said.String(), "the store of limits forgot")
	})
	eventually(t, 20*time.Second, "the last flush is noticed too", func() bool {
		n, err := cache.Exists(t.Context(), "tally:posture").Result()
		return err == nil && n == 1
	})
	crowd := func(i int) client.Answer { // unknown devices of one address
		p := w.phone(fmt.Sprintf("7010%02d3007", 10+i), "customer")
		answer, err := client.REST{BaseURL: s.Base, HTTP: &http.Client{Timeout: 20 * time.Second, Transport: carrier{p.device, "203.0.113.9"}}}.
			Do(t.Context(), http.MethodPost, "auth/send-otp", "", map[string]any{"phone": p.number, "role": p.role})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	for i := range 5 { // half of ten
		accepted(t, "within the halved limit", crowd(i))
	}
	refused(t, "above it", crowd(5), http.StatusTooManyRequests, "AUTH_RATE_LIMIT_EXCEEDED")
}

// TestRedisFlushed: codes are gone and asked for again, sessions are not, and the tries that failed before
// still count.
func TestRedisFlushed(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	s := w.serve(t, "LIMITS=off")
	victim, inside := w.phone("7010002001", "customer"), w.phone("7010002002", "customer")
	tokens := inside.login(t, s)
	conn := inside.socket(t, s, tokens.AccessToken)
	_ = closed(t, conn)
	cache := redis.NewClient(&redis.Options{Addr: w.redis.Addr(), Protocol: 2})
	t.Cleanup(func() { _ = cache.Close() })
	flush := func() {
		t.Helper()
		if err := cache.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	code := victim.code(t, s)
	flush()
	refused(t, "the code that was flushed", victim.verify(t, s, code), http.StatusBadRequest, "OTP_EXPIRED")
	accepted(t, "refresh after the flush", inside.refresh(t, s, tokens.RefreshToken))
	alive(t, conn)

	thief := victim
	thief.device = "another phone"
	for range 3 { // 5 tries of each of 3 codes are the ceiling of a phone
		code = thief.code(t, s)
		for range 5 {
			refused(t, "a wrong code", thief.verify(t, s, wrong(code)), http.StatusBadRequest, "INVALID_OTP", "MAX_ATTEMPTS")
		}
		flush()
	}
	code = thief.code(t, s)
	refused(t, "the right code after 15 wrong ones and three flushes", thief.verify(t, s, code), http.StatusTooManyRequests, "TOO_MANY_ATTEMPTS")
}
