package outage

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// skew makes the clock of a town's database run ahead, for those who connect from now on and for what they
// ask: a function of that name stands in front of the database's own.
func (w *town) skew(t testing.TB, by time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	name := w.database[strings.LastIndex(w.database, "/")+1 : strings.Index(w.database, "?")]
	for _, statement := range []string{
		"CREATE SCHEMA IF NOT EXISTS skewed",
		"CREATE OR REPLACE FUNCTION skewed.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS " +
			"$$ SELECT pg_catalog.clock_timestamp() + interval '" + by.String() + "' $$",
		"ALTER DATABASE " + name + " SET search_path = public, skewed, pg_catalog",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// TestClocksApart: a machine whose clock is a little off says so and works; one that is far off takes no new
// work until its clock is right. Codes and their limits follow the clock of Redis and do not care.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.skew(t, 2*time.Second)
	near := w.serve(t)
	if !strings.Contains(near.Said.String(), `clock is not that of a store","store":"the database"`) {
		t.Errorf("a clock that is 2 s off is not mentioned:\n%s", near.Said.Tail(20))
	}
	if code := health(t, near, "/health/ready"); code != http.StatusOK {
		t.Errorf("ready with 2 s: %d", code)
	}
	p := w.phone("7060000001", "customer")
	p.login(t, near)

	w.skew(t, 9*time.Second)
	far := w.serve(t)
	if code := health(t, far, "/health/ready"); code != http.StatusServiceUnavailable {
		t.Errorf("ready with 9 s: %d", code)
	}
	if code := health(t, far, "/health/live"); code != http.StatusOK {
		t.Errorf("live with 9 s: %d", code)
	}
	asks := w.phone("7061000002", "customer")
	code := asks.code(t, far)
	accepted(t, "a code of one clock at another", asks.verify(t, near, code))

	w.skew(t, 0)
	eventually(t, 30*time.Second, "ready when the clock is right", func() bool { return health(t, far, "/health/ready") == http.StatusOK })
}

// timeOfRedis is what Redis answers to TIME: two numbers, the first of which is seconds of these years.
var timeOfRedis = regexp.MustCompile(`\*2\r\n\$10\r\n(1[789][0-9]{8})\r\n\$[1-6]\r\n[0-9]{1,6}\r\n`)

// ahead lets those who ask through the proxy see Redis's clock ahead; what its scripts count by stays as it is.
func (p *proxy) ahead(by time.Duration) { p.skew.Store(int64(by / time.Second)) }

// skewed changes answers to TIME.
func skewed(answers []byte, seconds int64) []byte {
	if seconds == 0 {
		return answers
	}
	out := bytes.Clone(answers)
	for _, at := range timeOfRedis.FindAllSubmatchIndex(answers, -1) {
		now, err := strconv.ParseInt(string(answers[at[2]:at[3]]), 10, 64)
		if err != nil {
			continue
		}
		copy(out[at[2]:at[3]], strconv.FormatInt(now+seconds, 10)) // as many digits
	}
	return out
}

// TestRedisClockApart: what codes and limits are measured by is held against this machine's clock as the database's is;
// a Redis that is away has no clock.
func TestRedisClockApart(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	p := newProxy(t, w.redis.Addr())
	w.cache = "redis://" + p.addr
	right := w.serve(t)
	if strings.Contains(right.Said.String(), "clock is not that of") || health(t, right, "/health/ready") != http.StatusOK {
		t.Fatalf("clocks that agree:\n%s", right.Said.Tail(20))
	}
	p.ahead(2 * time.Second)
	near := w.serve(t)
	if !strings.Contains(near.Said.String(), `clock is not that of a store","store":"Redis"`) {
		t.Errorf("a clock that is 2 s off is not mentioned:\n%s", near.Said.Tail(20))
	}
	if code := health(t, near, "/health/ready"); code != http.StatusOK {
		t.Errorf("ready with 2 s: %d", code)
	}
	p.ahead(9 * time.Second)
	far := w.serve(t)
	if code := health(t, far, "/health/ready"); code != http.StatusServiceUnavailable {
		t.Errorf("ready with 9 s: %d", code)
	}
	if code := health(t, far, "/health/live"); code != http.StatusOK {
		t.Errorf("live with 9 s: %d", code)
	}
	eventually(t, 60*time.Second, "a running server notices too", func() bool { return health(t, right, "/health/ready") == http.StatusServiceUnavailable })
	w.redis.Kill(t)
	eventually(t, 60*time.Second, "ready without Redis", func() bool { return health(t, far, "/health/ready") == http.StatusOK })
}
