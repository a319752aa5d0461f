package outage

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"weelo/internal/client"
	"weelo/internal/servertest"
)

// sends asks for a code in the background.
func (p phone) sends(t testing.TB, s *servertest.Weelo) <-chan client.Answer {
	t.Helper()
	answer := make(chan client.Answer, 1)
	go func() {
		a, err := p.api(s).Do(t.Context(), http.MethodPost, "auth/send-otp", "", map[string]any{"phone": p.number, "role": p.role})
		if err != nil {
			t.Errorf("send: %v", err)
		}
		answer <- a
	}()
	return answer
}

// TestSMSProviderDown: a code that was certainly not sent is 503 at once and costs its owner nothing; one
// whose fate is unknown is 200 and works if it arrives; a provider that fails is left alone, and asked again
// later. Whoever is logged in notices nothing.
func TestSMSProviderDown(t *testing.T) {
	t.Parallel()
	w, p := newTown(t), newProvider(t)
	well := w.serve(t) // on a file, for those who were here before
	s := w.serve(t, p.environ()...)
	inside, crew := w.phone("7030000001", "customer"), w.crew(t, well, "7030001002", "7030002003")
	tokens := inside.login(t, well)
	conn := inside.socket(t, s, tokens.AccessToken)
	_ = closed(t, conn)

	unlucky := w.phone("7030003004", "customer")
	for range 6 { // an hour's codes and one more
		tryAgain(t, "unreachable", unlucky.send(t, s))
	}
	refused(t, "a code that was not sent", unlucky.verify(t, s, "123456"), http.StatusBadRequest, "OTP_EXPIRED")
	refused(t, "unreachable, a driver's", crew.sendDriver(t, s), http.StatusServiceUnavailable, "SMS_SEND_FAILED")
	accepted(t, "refresh without a provider", inside.refresh(t, s, tokens.RefreshToken))
	alive(t, conn)
	if code := health(t, s, "/health/ready"); code != http.StatusOK {
		t.Errorf("ready without a provider: %d", code)
	}

	p.comeUp(t)
	accepted(t, "reachable", unlucky.send(t, s))
	if codes := p.to(unlucky.number); len(codes) != 1 {
		t.Fatalf("handed over %d times", len(codes))
	}
	accepted(t, "login", unlucky.verify(t, s, p.to(unlucky.number)[0]))

	p.does(refusing)
	other := w.phone("7030004005", "customer")
	tryAgain(t, "refused", other.send(t, s))
	p.does(broken)
	accepted(t, "undecided", other.send(t, s))
	if codes := p.to(other.number); len(codes) != 2 {
		t.Fatalf("handed over %d times for two requests", len(codes))
	}
	accepted(t, "login with a code that perhaps arrives", other.verify(t, s, p.to(other.number)[1]))

	p.does(refusing)
	next := 0
	somebody := func() client.Answer {
		next++
		return w.phone(fmt.Sprintf("70301%05d", 137*next), "customer").send(t, s)
	}
	for range 20 {
		tryAgain(t, "refused", somebody())
	}
	before := p.taken()
	tryAgain(t, "the breaker is open", somebody())
	if n := p.taken() - before; n != 0 {
		t.Errorf("a provider that fails is asked %d times more", n)
	}
	if n := gauge(t, s, `weelo_sms_breaker_open\{[^}]*codes[^}]*\}`); n != 1 {
		t.Errorf("the breaker's gauge says %v", n)
	}
	p.does(nil)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); somebody().Status != http.StatusOK; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the breaker does not close")
		}
	}
	for range 3 {
		accepted(t, "the breaker is closed", somebody())
	}
}

// TestSMSProviderSlow: nobody waits more than three seconds for a provider, and nobody else at all; a message
// is handed over once; and what hangs is bounded.
func TestSMSProviderSlow(t *testing.T) {
	t.Parallel()
	w, p := newTown(t), newProvider(t)
	p.comeUp(t)
	s := w.serve(t, p.environ()...)
	waits, others := w.phone("7031000001", "customer"), w.phone("7031000002", "customer")
	p.does(func(mobile string, gone <-chan struct{}) int {
		if mobile == "91"+waits.number {
			return hanging(mobile, gone)
		}
		return http.StatusOK
	})
	begun := time.Now()
	answer := waits.sends(t, s)
	eventually(t, 10*time.Second, "the message is handed over", func() bool { return len(p.to(waits.number)) == 1 })
	accepted(t, "another phone's code", others.send(t, s))
	accepted(t, "another phone's login", others.verify(t, s, p.to(others.number)[0]))
	refused(t, "a wrong code meanwhile", waits.verify(t, s, wrong(p.to(waits.number)[0])), http.StatusBadRequest, "INVALID_OTP")
	select {
	case a := <-answer:
		t.Errorf("answered before the provider or its time: %d %s, after %v", a.Status, a.Body, time.Since(begun))
	default:
	}
	accepted(t, "undecided", <-answer)
	if took := time.Since(begun); took > 8*time.Second { // 3 s on a machine with nothing else to do
		t.Errorf("a slow provider was waited for %v", took)
	}
	accepted(t, "the code arrives after all", waits.verify(t, s, p.to(waits.number)[0]))

	p.does(hanging)
	before := gauge(t, s, `go_goroutines`)
	crowd := make([]<-chan client.Answer, 60)
	for i := range crowd {
		crowd[i] = w.phone(crowded(i), "customer").sends(t, s)
	}
	for _, a := range crowd {
		if got := <-a; got.Status != http.StatusOK && got.Status != http.StatusServiceUnavailable { // 503: its breaker has opened
			t.Errorf("in a crowd: %d %s", got.Status, got.Body)
		}
	}
	eventually(t, 20*time.Second, "all that hung is gone", func() bool { return gauge(t, s, `go_goroutines`) < before+60 })
	for i := range crowd {
		if n := len(p.to(crowded(i))); n > 1 {
			t.Errorf("a message was handed over %d times", n)
		}
	}
	if n := len(p.to(waits.number)); n != 1 {
		t.Errorf("a message whose fate is unknown was handed over %d times", n)
	}
}

// crowded is a phone whose neighbours are nobody's.
func crowded(i int) string { return fmt.Sprintf("73%04d%04d", i, 137*i) }

// gauge reads a number from the pages of the machine's own.
func gauge(t testing.TB, s *servertest.Weelo, name string) float64 {
	t.Helper()
	_, text := get(t, s.Admin+"/metrics")
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no metric %s", name)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
