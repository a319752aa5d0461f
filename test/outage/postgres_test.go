package outage

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/client"
	"weelo/internal/servertest"
)

// count asks the database for a number.
func (w *town) count(t testing.TB, query string, args ...any) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var n int
	if err := conn.QueryRow(ctx, query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// codesSent is how many codes the audit log says were sent.
func (w *town) codesSent(t testing.TB) int {
	t.Helper()
	return w.count(t, `SELECT count(*) FROM audit_log WHERE action = 'code_sent'`)
}

// TestPostgresDown kills Postgres and then freezes it. Customers and transporters still get codes, drivers do
// not; nobody can log in, no try is counted and no code is used up; whoever is logged in stays so and is
// never told 401; trucks are seen moving. When it is back, the same process goes on.
func TestPostgresDown(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	s, lax := w.serve(t), w.serve(t, "LIMITS=off")
	a := &absence{town: w, s: s, inside: w.phone("7020000001", "customer"), crew: w.crew(t, s, "7020011002", "7020021003")}
	a.tokens = a.inside.login(t, s)
	a.stream = a.crew.stream(t, s, a.inside, a.tokens)

	victim := w.phone("7020004004", "customer")
	for range 3 { // 5 tries of each of 3 codes are the ceiling of a phone
		code := victim.code(t, lax)
		for range 5 {
			refused(t, "a wrong code", victim.verify(t, lax, wrong(code)), http.StatusBadRequest, "INVALID_OTP", "MAX_ATTEMPTS")
		}
	}
	spared := victim.code(t, lax)

	// Killed: connections are refused. Each pair of phones has codes from before and asks for codes meanwhile.
	a.during(t, "killed", "7020030001", "7020031011", 3*time.Second, func() { w.postgres.Kill(t) }, func() { w.postgres.Start(t) })
	thief := victim
	thief.device = "another phone"
	refused(t, "the right code after 15 wrong ones", thief.verify(t, s, spared), http.StatusTooManyRequests, "TOO_MANY_ATTEMPTS")

	// Frozen: connections stay and nobody answers.
	a.during(t, "frozen", "7020040001", "7020041011", 12*time.Second, func() { w.postgres.Pause(t) }, func() { w.postgres.Resume(t) })
}

// absence is a town whose Postgres goes away and comes back, with somebody who is logged in and a truck
// under way.
type absence struct {
	*town
	s      *servertest.Weelo
	inside phone
	tokens client.Tokens
	crew   crew
	stream *stream
}

// during takes Postgres away and gives it back. Every answer must come within the limit.
func (a *absence) during(t *testing.T, how, early, late string, limit time.Duration, away, back func()) {
	t.Helper()
	w, s := a.town, a.s
	waiting, asking, boss := w.phone(early, "customer"), w.phone(late, "customer"), w.phone(late[:8]+"22", "transporter")
	code := waiting.code(t, s)
	had := w.codesSent(t)
	away()

	var all sync.WaitGroup
	ask := func(what string, do func() client.Answer, right func(testing.TB, string, client.Answer)) {
		all.Go(func() {
			begun := time.Now()
			answer := do()
			right(t, how+": "+what, answer)
			if took := time.Since(begun); took > limit {
				t.Errorf("%s: %s is answered after %v", how, what, took)
			}
		})
	}
	unavailable := func(t testing.TB, what string, a client.Answer) {
		t.Helper()
		refused(t, what, a, http.StatusServiceUnavailable)
		if a.RetryAfter <= 0 {
			t.Errorf("%s: no Retry-After", what)
		}
	}
	fine := func(t testing.TB, what string, a client.Answer) {
		t.Helper()
		if a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
	ask("a customer's send", func() client.Answer { return asking.send(t, s) }, fine)
	ask("a transporter's send", func() client.Answer { return boss.send(t, s) }, fine)
	ask("a driver's send", func() client.Answer { return a.crew.sendDriver(t, s) }, unavailable)
	for range 6 { // more than a code has
		ask("a wrong code", func() client.Answer { return waiting.verify(t, s, wrong(code)) }, unavailable)
	}
	ask("refresh", func() client.Answer { return a.inside.refresh(t, s, a.tokens.RefreshToken) }, unavailable)
	me := func() client.Answer {
		answer, err := a.inside.api(s).As(a.tokens.AccessToken).Do(t.Context(), http.MethodGet, "auth/me", "", nil)
		if err != nil {
			t.Error(err)
		}
		return answer
	}
	ask("who am I", me, unavailable)
	all.Wait()
	a.stream.goesOn(t, how)
	if n := len(w.messages(t, a.crew.boss.number)); n != 2 {
		t.Errorf("%s: the transporter has %d messages, not those of his own login and of his driver's", how, n)
	}
	eventually(t, 10*time.Second, how+": not ready", func() bool { return health(t, s, "/health/ready") == http.StatusServiceUnavailable })
	if code := health(t, s, "/health/live"); code != http.StatusOK {
		t.Errorf("%s: live says %d", how, code)
	}

	back()
	eventually(t, 20*time.Second, how+": ready again", func() bool { return health(t, s, "/health/ready") == http.StatusOK })
	fine(t, how+", over: the code from before", waiting.verify(t, s, code))
	for _, p := range []phone{asking, boss} {
		sent := w.messages(t, p.number)
		if len(sent) != 1 {
			t.Fatalf("%s: %d messages to the %s who asked meanwhile", how, len(sent), p.role)
		}
		fine(t, how+", over: the code of a "+p.role+" who asked meanwhile", p.verify(t, s, sent[0].Code))
	}
	fine(t, how+", over: refresh", a.inside.refresh(t, s, a.tokens.RefreshToken))
	fine(t, how+", over: who am I", me())
	a.stream.goesOn(t, how+", over")
	eventually(t, 10*time.Second, how+": what was sent meanwhile is in the audit log", func() bool { return w.codesSent(t) >= had+2 })
}

// TestTriesThatHangUseUpNoCode: Postgres answers what is asked and hangs at what is written of a try. However many
// such tries are made, each is 503, none is counted, and the code is good when it is over.
func TestTriesThatHangUseUpNoCode(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	s := w.serve(t)
	p := w.phone("7024000001", "customer")
	code := p.code(t, s)
	refused(t, "a wrong code before", p.verify(t, s, wrong(code)), http.StatusBadRequest, "INVALID_OTP")

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, `BEGIN; LOCK TABLE otp_fail IN EXCLUSIVE MODE`); err != nil { // reads go on
		t.Fatal(err)
	}
	for _, a := range atOnce(6, []*servertest.Weelo{s}, func(s *servertest.Weelo, _ int) client.Answer { return p.verify(t, s, wrong(code)) }) {
		refused(t, "a try that cannot be written", a, http.StatusServiceUnavailable)
	}
	if _, err := conn.Exec(ctx, `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	a := p.verify(t, s, wrong(code))
	refused(t, "a wrong code after", a, http.StatusBadRequest, "INVALID_OTP")
	if !strings.Contains(string(a.Body), "3 attempts") {
		t.Errorf("tries that were not compared are counted: %s", a.Body)
	}
	if n := p.count(t, `SELECT count(*) FROM otp_fail WHERE phone = $1`, "+91"+p.number); n != 2 {
		t.Errorf("%d failed tries of two that were compared", n)
	}
	accepted(t, "the code", p.verify(t, s, code))
}
