package outage

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weelo/internal/client"
	"weelo/internal/servertest"
)

// sessions is how many the owner of a phone has.
func (p phone) sessions(t testing.TB) int {
	t.Helper()
	return p.count(t, `SELECT count(*) FROM session_family f JOIN app_user u ON u.id = f.user_id WHERE u.phone = $1`, "+91"+p.number)
}

// tokensOf reads the answer of a login.
func tokensOf(t testing.TB, a client.Answer) client.Tokens {
	t.Helper()
	accepted(t, "login", a)
	return decode[struct{ Tokens client.Tokens }](t, a.Data).Tokens
}

// atOnce does something on each server n times, all at the same time, and gives the answers.
func atOnce(n int, servers []*servertest.Weelo, do func(s *servertest.Weelo, i int) client.Answer) []client.Answer {
	answers := make([]client.Answer, n*len(servers))
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			<-start
			answers[i] = do(servers[i%len(servers)], i)
		})
	}
	close(start)
	all.Wait()
	return answers
}

// TestTwoTasks: one phone's login reaches two tasks that know nothing of each other but the stores. Codes go out
// once, are won once, and tries are counted once, however the requests fall; a task that is killed takes
// nothing with it; what one revokes, the other ends.
func TestTwoTasks(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	both := []*servertest.Weelo{w.serve(t), w.serve(t)}

	t.Run("SendsOnce", func(t *testing.T) {
		t.Parallel()
		for i := range 3 {
			p := w.phone([]string{"7040000001", "7040010002", "7040020003"}[i], "customer")
			sent := 0
			for _, a := range atOnce(4, both, func(s *servertest.Weelo, _ int) client.Answer { return p.send(t, s) }) {
				if a.Status == http.StatusOK {
					sent++
				} else {
					refused(t, "the others", a, http.StatusTooManyRequests)
				}
			}
			if n := len(w.messages(t, p.number)); sent != 1 || n != 1 {
				t.Errorf("%d answers say sent, and %d messages went out", sent, n)
			}
		}
	})

	t.Run("OneDeviceWins", func(t *testing.T) {
		t.Parallel()
		p := w.phone("7041000001", "customer")
		code := p.code(t, both[0])
		won := 0
		for _, a := range atOnce(5, both, func(s *servertest.Weelo, i int) client.Answer {
			one := p
			one.device = "device " + string(rune('a'+i))
			return one.verify(t, s, code)
		}) {
			if a.Status == http.StatusOK {
				won++
			} else { // too late, or five were before it
				refused(t, "the others", a, http.StatusBadRequest, "OTP_EXPIRED", "MAX_ATTEMPTS")
			}
		}
		if n := p.sessions(t); won != 1 || n != 1 {
			t.Errorf("%d devices won, and there are %d sessions", won, n)
		}
	})

	t.Run("OneDeviceRetries", func(t *testing.T) {
		t.Parallel()
		p := w.phone("7042000001", "customer")
		code := p.code(t, both[0])
		seen := map[string]bool{}
		for _, a := range atOnce(2, both, func(s *servertest.Weelo, _ int) client.Answer { return p.verify(t, s, code) }) {
			seen[tokensOf(t, a).RefreshToken] = true
		}
		seen[tokensOf(t, p.verify(t, both[1], code)).RefreshToken] = true // its answers were lost
		if n := p.sessions(t); len(seen) != 1 || n != 1 {
			t.Errorf("one device has %d refresh tokens and %d sessions", len(seen), n)
		}
	})

	t.Run("TriesAreCountedTogether", func(t *testing.T) {
		t.Parallel()
		p := w.phone("7043000001", "customer")
		code := p.code(t, both[0])
		compared := 0
		for _, a := range atOnce(6, both, func(s *servertest.Weelo, _ int) client.Answer { return p.verify(t, s, wrong(code)) }) {
			refused(t, "a wrong code", a, http.StatusBadRequest, "INVALID_OTP", "MAX_ATTEMPTS")
			if a.Error.Code == "INVALID_OTP" {
				compared++
			}
		}
		failed := p.count(t, `SELECT count(*) FROM otp_fail WHERE phone = $1`, "+91"+p.number)
		if compared != 4 || failed != 5 { // the fifth says that it was the last
			t.Errorf("%d tries were told how many are left, and %d were compared", compared, failed)
		}
		refused(t, "the right code", p.verify(t, both[1], code), http.StatusBadRequest, "MAX_ATTEMPTS")
	})

	t.Run("RefreshesAreOneStep", func(t *testing.T) {
		t.Parallel()
		p := w.phone("7044000001", "customer")
		tokens := p.login(t, both[0])
		children := map[string]bool{}
		for _, a := range atOnce(6, both, func(s *servertest.Weelo, _ int) client.Answer { return p.refresh(t, s, tokens.RefreshToken) }) {
			children[refreshed(t, a).RefreshToken] = true
		}
		if len(children) != 1 {
			t.Errorf("one token has %d children", len(children))
		}
	})

	t.Run("RevokedHereEndsThere", func(t *testing.T) {
		t.Parallel()
		p := w.phone("7045000001", "customer")
		tokens := p.login(t, both[0])
		end := closed(t, p.socket(t, both[1], tokens.AccessToken))
		if err := p.api(both[0]).As(tokens.AccessToken).Call(t.Context(), http.MethodPost, "auth/logout", nil, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case code := <-end:
			if code != 4401 {
				t.Errorf("closed with %d, not 4401", code)
			}
		case <-time.After(15 * time.Second):
			t.Error("the socket at the other task stays open")
		}
		answer, err := p.api(both[1]).As(tokens.AccessToken).Do(t.Context(), http.MethodGet, "auth/me", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, "the access token at the other task", answer, http.StatusUnauthorized)
	})
}

// TestTaskKilledBetweenSendAndVerify: the next task goes on with the same code and the tries that are left. A
// task that is killed while the provider has a message in its hand leaves nobody who sends it again.
func TestTaskKilledBetweenSendAndVerify(t *testing.T) {
	t.Parallel()
	w, slow := newTown(t), newProvider(t)
	slow.comeUp(t)
	first, second := w.serve(t, slow.environ()...), w.serve(t)

	p, crew := w.phone("7046000001", "customer"), w.crew(t, second, "7046001002", "7046002003")
	accepted(t, "send", p.send(t, first))
	code := slow.to(p.number)[0]
	accepted(t, "a driver's send", crew.sendDriver(t, first))
	for range 2 {
		refused(t, "a wrong code", p.verify(t, first, wrong(code)), http.StatusBadRequest, "INVALID_OTP")
	}
	slow.does(hanging)
	held := w.phone("7046003004", "customer")
	go func() { // its answer is lost with the task
		_, _ = held.api(first).Do(t.Context(), http.MethodPost, "auth/send-otp", "", map[string]any{"phone": held.number, "role": held.role})
	}()
	eventually(t, 10*time.Second, "the provider has it", func() bool { return len(slow.to(held.number)) == 1 })
	first.Kill()

	a := p.verify(t, second, wrong(code))
	refused(t, "a wrong code at the next task", a, http.StatusBadRequest, "INVALID_OTP")
	if !strings.Contains(string(a.Body), "2 attempts") {
		t.Errorf("tries from before the kill are forgotten: %s", a.Body)
	}
	accepted(t, "the code at the next task", p.verify(t, second, code))
	thief := p
	thief.device = "another phone"
	refused(t, "the used code", thief.verify(t, second, code), http.StatusBadRequest, "OTP_EXPIRED")
	accepted(t, "the driver's code", crew.verifyDriver(t, second, slow.to(crew.boss.number)[0]))

	refused(t, "another code so soon", held.send(t, second), http.StatusTooManyRequests, "OTP_COOLDOWN")
	accepted(t, "the code that the provider held", held.verify(t, second, slow.to(held.number)[0]))
	if handed, sent := len(slow.to(held.number)), len(w.messages(t, held.number)); handed != 1 || sent != 0 {
		t.Errorf("the message was handed over %d times, and %d times by the next task", handed, sent)
	}
}
