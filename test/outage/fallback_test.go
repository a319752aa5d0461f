package outage

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the second provider's messages carry: numbers of the DLT register, and none of the first one's names.
const (
	dltEntity  = "1101234567890123456"
	dltHeader  = "WEELOO"
	dltLogin   = "1107000000000000001"
	dltDriver  = "1107000000000000002"
	dltOnboard = "1107000000000000003"
)

// publisher is an SMS provider of AWS SNS's shape that takes everything, or nothing.
type publisher struct {
	url string

	mu     sync.Mutex
	taken  []published
	closed bool
}

// published is one message as it was handed over.
type published struct {
	to, text, code string
	marks          map[string]string // the attributes
}

func newPublisher(t testing.TB) *publisher {
	t.Helper()
	p := &publisher{}
	server := httptest.NewServer(http.HandlerFunc(p.take))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

var codeInText = regexp.MustCompile(`\b[0-9]{6}\b`)

func (p *publisher) take(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || r.ParseForm() != nil || r.Form.Get("Action") != "Publish" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	m := published{to: r.Form.Get("PhoneNumber"), text: r.Form.Get("Message"), marks: map[string]string{}}
	m.code = codeInText.FindString(m.text)
	for i := 1; ; i++ {
		entry := fmt.Sprintf("MessageAttributes.entry.%d.", i)
		name := r.Form.Get(entry + "Name")
		if name == "" {
			break
		}
		m.marks[name] = r.Form.Get(entry + "Value.StringValue")
	}
	p.taken = append(p.taken, m)
	_, _ = io.WriteString(w, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>`)
}

// close makes it refuse from now on.
func (p *publisher) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.taken)
}

// last is the newest message, which must be the only one since there were had, for that phone, and marked with the
// register's id of its text.
func (p *publisher) last(t testing.TB, what string, had int, number, template string) published {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.taken) != had+1 {
		t.Fatalf("%s: the second provider took %d messages", what, len(p.taken)-had)
	}
	m := p.taken[had]
	if m.to != "+91"+number || m.code == "" {
		t.Fatalf("%s: to %s: %q", what, m.to, m.text)
	}
	want := map[string]string{
		"AWS.SNS.SMS.SMSType": "Transactional", "AWS.SNS.SMS.SenderID": dltHeader, "AWS.MM.SMS.EntityId": dltEntity, "AWS.MM.SMS.TemplateId": template,
	}
	if fmt.Sprint(m.marks) != fmt.Sprint(want) {
		t.Errorf("%s: marked %v, not %v", what, m.marks, want)
	}
	return m
}

// environ makes it a server's second provider.
func (p *publisher) environ() []string {
	return []string{
		"SMS_FALLBACK_PROVIDER=aws-sns", "AWS_SNS_BASE_URL=" + p.url, "AWS_SNS_REGION=ap-south-1", "AWS_SNS_SENDER_ID=" + dltHeader,
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-real-one", "AWS_EC2_METADATA_DISABLED=true",
		"DLT_ENTITY_ID=" + dltEntity, "DLT_TEMPLATE_ID=" + dltLogin, "DLT_TEMPLATE_ID_DRIVER=" + dltDriver, "DLT_TEMPLATE_ID_ONBOARD=" + dltOnboard,
	}
}

// TestSecondSMSProvider: what the first provider certainly did not take, the second gets, once, with the ids under
// which the operators know it there; what the first perhaps took, nobody else is asked for. While the first is left
// alone nobody asks it, and it is the first again when it works.
func TestSecondSMSProvider(t *testing.T) {
	t.Parallel()
	w, first, second := newTown(t), newProvider(t), newPublisher(t)
	well := w.serve(t) // on a file, for those who were here before
	s := w.serve(t, append(first.environ(), second.environ()...)...)
	crew := w.crew(t, well, "7050001002", "7050002003")
	next := 0
	somebody := func() phone {
		next++
		return w.phone(fmt.Sprintf("70501%05d", 1370*next), "customer")
	}

	p := somebody()
	accepted(t, "the first unreachable", p.send(t, s))
	accepted(t, "login", p.verify(t, s, second.last(t, "unreachable", 0, p.number, dltLogin).code))

	first.comeUp(t)
	p = somebody()
	accepted(t, "the first works", p.send(t, s))
	if asked, more := len(first.to(p.number)), second.count()-1; asked != 1 || more != 0 {
		t.Fatalf("the first works: it was asked %d times, the second %d times", asked, more)
	}
	accepted(t, "login", p.verify(t, s, first.to(p.number)[0]))

	first.does(refusing)
	had := second.count()
	accepted(t, "a driver's", crew.sendDriver(t, s))
	driver := second.last(t, "a driver's", had, crew.boss.number, dltDriver)
	if !strings.Contains(driver.text, "Ravi") {
		t.Errorf("the second provider's words do not say which driver asks: %q", driver.text)
	}
	accepted(t, "the driver's login", crew.verifyDriver(t, s, driver.code))
	had = second.count()
	invited := "7050003004"
	api := crew.boss.api(s).As(crew.bossTokens.AccessToken)
	if err := api.Call(t.Context(), http.MethodPost, "driver/onboard/initiate", map[string]any{"phone": invited, "name": "Asha", "licenseNumber": "KA0120210001235"}, nil); err != nil {
		t.Fatalf("invite: %v", err)
	}
	code := second.last(t, "an invitation", had, invited, dltOnboard).code
	if err := api.Call(t.Context(), http.MethodPost, "driver/onboard/verify", map[string]any{"phone": invited, "otp": code}, nil); err != nil {
		t.Errorf("join: %v", err)
	}
	if asked := len(first.to(invited)); asked != 1 {
		t.Errorf("the first was asked %d times for what it refused", asked)
	}

	first.does(broken) // it perhaps took it
	had = second.count()
	p = somebody()
	accepted(t, "undecided", p.send(t, s))
	if more := second.count() - had; more != 0 {
		t.Errorf("a message that perhaps arrives was handed over %d times more", more)
	}
	accepted(t, "login with a code that perhaps arrives", p.verify(t, s, first.to(p.number)[0]))

	first.does(refusing)
	for range 20 { // nobody notices that the first fails and then is left alone
		had = second.count()
		p = somebody()
		accepted(t, "refused by the first", p.send(t, s))
		second.last(t, "refused by the first", had, p.number, dltLogin)
	}
	eventually(t, 30*time.Second, "a message that the first is not asked for", func() bool { // but for the one that tries it now and then
		asked := first.taken()
		had = second.count()
		p = somebody()
		accepted(t, "the first is left alone", p.send(t, s))
		return first.taken() == asked
	})
	accepted(t, "login", p.verify(t, s, second.last(t, "the first is left alone", had, p.number, dltLogin).code))
	for name, want := range map[string]float64{"msg91": 1, "aws-sns": 0} {
		if n := gauge(t, s, `weelo_sms_breaker_open\{provider="`+name+`",traffic="codes"[^}]*\}`); n != want {
			t.Errorf("the gauge of %s's breaker says %v", name, n)
		}
	}

	second.close()
	p = somebody()
	tryAgain(t, "neither takes it", p.send(t, s))
	first.does(nil)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for p = somebody(); ; p = somebody() {
		answer := p.send(t, s)
		if answer.Status == http.StatusOK {
			break
		}
		tryAgain(t, "neither takes it yet", answer)
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the first is not asked again")
		}
	}
	accepted(t, "login when the first works again", p.verify(t, s, first.to(p.number)[0]))
}
