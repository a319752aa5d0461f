package rest_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/otp"
	"weelo/transport/rest/resttest"
)

const api = "/api/v1"

type sentCode struct {
	Message     string
	ExpiresIn   int
	ChallengeID string
}

type loggedIn struct {
	User   struct{ ID, Phone, Role, Name, CreatedAt string }
	Tokens struct {
		AccessToken, RefreshToken string
		ExpiresIn                 int
	}
	IsNewUser bool
}

type driverIn struct {
	AccessToken, RefreshToken, Role string
	Driver                          struct{ ID, Name, Phone, TransporterID, TransporterName, LicenseNumber string }
}

func (k task) send(c *resttest.Client, number, role string) resttest.Answer {
	return c.Call(http.MethodPost, api+"/auth/send-otp", map[string]string{"phone": number, "role": role})
}

func (k task) verify(c *resttest.Client, number, role, code string) resttest.Answer {
	return c.Call(http.MethodPost, api+"/auth/verify-otp", map[string]string{"phone": number, "role": role, "otp": code})
}

func (k task) driverSend(c *resttest.Client, number string) resttest.Answer {
	return c.Call(http.MethodPost, api+"/driver-auth/send-otp", map[string]string{"driverPhone": number})
}

func (k task) driverVerify(c *resttest.Client, number, code string) resttest.Answer {
	return c.Call(http.MethodPost, api+"/driver-auth/verify-otp", map[string]string{"driverPhone": number, "otp": code})
}

func (k task) refresh(refresh string) resttest.Answer {
	return k.Call(http.MethodPost, api+"/auth/refresh", map[string]string{"refreshToken": refresh})
}

func (k task) me(access string) resttest.Answer {
	return k.As(access).Call(http.MethodGet, api+"/auth/me", nil)
}

// lastCode is the code of the newest message.
func (k task) lastCode(t *testing.T) string {
	t.Helper()
	sent := k.sms.all()
	if len(sent) == 0 {
		t.Fatal("no message was sent")
	}
	return sent[len(sent)-1].Code
}

// login logs a number in by its own phone.
func (k task) login(t *testing.T, c *resttest.Client, number, role string) loggedIn {
	t.Helper()
	k.send(c, number, role).Want(200)
	var in loggedIn
	k.verify(c, number, role, k.lastCode(t)).Want(200).Data(&in)
	return in
}

// wrong is a code that is not the given one.
func wrong(code string) string {
	n, _ := strconv.Atoi(code)
	return strings.Repeat("0", 6-len(strconv.Itoa((n+1)%1_000_000))) + strconv.Itoa((n+1)%1_000_000)
}

// P01: one SMS to the phone itself, six digits, no code in the answer; and the whole login after it.
func TestLoginOfACustomer(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		var sent sentCode
		a := k.send(k.Client, c1, "customer").Want(200).Data(&sent)
		messages := k.sms.all()
		if len(messages) != 1 || messages[0].To != "+91"+c1 || !otp.WellFormed(messages[0].Code) {
			t.Fatalf("messages: %v", messages)
		}
		code := messages[0].Code
		if sent.ExpiresIn != 300 || sent.ChallengeID == "" || strings.Contains(string(a.Raw), code) {
			t.Fatalf("answer: %s", a.Raw)
		}
		if body := messages[0].Body; !strings.HasPrefix(body, "<#> "+code) || !strings.HasSuffix(body, "\nAAAAAAAAAAA") {
			t.Errorf("text: %q", body)
		}
		var in loggedIn
		k.Call(http.MethodPost, api+"/auth/verify-otp",
			`{"phone":"`+c1+`","otp":"`+code+`","role":"customer","deviceId":null,"deviceName":null,"challengeId":"`+sent.ChallengeID+`"}`).Want(200).Data(&in)
		if in.User.Phone != c1 || in.User.Role != "customer" || !in.IsNewUser || in.Tokens.ExpiresIn != 3600 {
			t.Errorf("logged in: %+v", in)
		}
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(in.User.CreatedAt) {
			t.Errorf("createdAt %q: the app's parser needs three decimals and Z", in.User.CreatedAt)
		}
		var me struct{ User struct{ ID string } }
		k.me(in.Tokens.AccessToken).Want(200).Data(&me)
		if me.User.ID != in.User.ID {
			t.Errorf("me is %s, logged in %s", me.User.ID, in.User.ID)
		}
		assertNoSecrets(t, k.log.String(), code, c1, in.Tokens.AccessToken, in.Tokens.RefreshToken)
	})
}

// assertNoSecrets looks for what must not be in a log.
func assertNoSecrets(t *testing.T, log string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		for line := range strings.Lines(log) {
			if strings.Contains(line, s) {
				t.Errorf("the log contains %q: %s", s, line)
			}
		}
	}
}

// P02: a driver's code goes to the transporter, and to nobody else. The two calls of the operators'
// guide work as they are.
func TestLoginOfADriver(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		boss, driver := people(t, p)
		k := start(t, p, options{})
		k.Call(http.MethodPost, api+"/auth/send-otp", `{"phone": "`+t1+`", "role": "transporter"}`).Want(200)
		var sent struct {
			TransporterPhoneMasked, DriverID, DriverName, ChallengeID string
			ExpiresInMinutes                                          int
		}
		a := k.Call(http.MethodPost, api+"/driver-auth/send-otp", `{"driverPhone": "`+d1+`"}`).Want(200).Data(&sent)
		if sent.TransporterPhoneMasked != "98****001" || sent.DriverID != string(driver) || sent.DriverName != "Ravi" || sent.ExpiresInMinutes != 5 {
			t.Fatalf("answer: %s", a.Raw)
		}
		if strings.Contains(string(a.Raw), t1) || strings.Contains(string(a.Raw), "Kumar") || !strings.Contains(string(a.Raw), `"message":"`) {
			t.Errorf("tells too much or too little: %s", a.Raw)
		}
		messages := k.sms.all()
		if len(messages) != 2 || messages[1].To != "+91"+t1 {
			t.Fatalf("messages: %v", messages)
		}
		if body := messages[1].Body; !strings.Contains(body, "Ravi") || !strings.Contains(body, "6789") || !strings.HasSuffix(body, "\nBBBBBBBBBBB") {
			t.Errorf("text: %q", body)
		}
		var in driverIn
		k.driverVerify(k.Client, d1, messages[1].Code).Want(200).Data(&in)
		if in.Role != "DRIVER" || in.Driver.ID != string(driver) || in.Driver.TransporterID != string(boss) || in.Driver.Phone != d1 || in.Driver.TransporterName != "Asha Roadlines" {
			t.Errorf("logged in: %+v", in)
		}
		id, err := k.mint.Verify(in.AccessToken, time.Now())
		if err != nil || id.Role != fleet.Driver || id.TransporterID != boss || id.Phone != "+91"+d1 {
			t.Errorf("identity %+v, %v", id, err)
		}
		assertNoSecrets(t, k.log.String(), messages[0].Code, messages[1].Code, d1, t1)
		k.As(in.AccessToken).Call(http.MethodPost, api+"/driver-auth/logout", nil).Want(200)
		k.me(in.AccessToken).Refused(401, "UNAUTHORIZED")
	})
}

// P03: unknown drivers cost no message and leave no challenge; from one origin only so many may be tried, and then
// known numbers are refused alike.
func TestUnknownDrivers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		people(t, p)
		k := start(t, p, options{})
		here := k.With("X-Forwarded-For", "203.0.113.7")
		for i := range 10 {
			k.driverSend(here, "91000000"+strconv.Itoa(10+i)).Refused(404, "DRIVER_NOT_FOUND")
		}
		if p.keys != nil {
			for _, key := range p.keys() {
				if strings.HasPrefix(key, "driver-otp:") {
					t.Errorf("an unknown driver has a challenge: %s", key)
				}
			}
		}
		for _, number := range []string{"9100000099", d1} {
			if a := k.driverSend(here, number).Refused(429, "AUTH_RATE_LIMIT_EXCEEDED"); a.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
		if n := len(k.sms.all()); n != 0 {
			t.Errorf("%d messages", n)
		}
		k.driverSend(k.With("X-Forwarded-For", "203.0.113.8"), d1).Want(200)
	})
}

// P04: the fifth wrong code is told as the last, and the right one comes too late.
func TestFiveTries(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		people(t, p)
		k := start(t, p, options{})
		k.send(k.Client, c1, "customer").Want(200)
		k.driverSend(k.Client, d1).Want(200)
		own, driver := k.sms.all()[0].Code, k.sms.all()[1].Code
		for left := 4; left >= 1; left-- {
			a := k.verify(k.Client, c1, "customer", wrong(own)).Refused(400, "INVALID_OTP")
			if !strings.Contains(string(a.Raw), strconv.Itoa(left)+" attempt") {
				t.Errorf("%d left: %s", left, a.Raw)
			}
			k.driverVerify(k.Client, d1, wrong(driver)).Refused(400, "OTP_INVALID")
		}
		k.verify(k.Client, c1, "customer", wrong(own)).Refused(400, "MAX_ATTEMPTS")
		k.verify(k.Client, c1, "customer", own).Refused(400, "MAX_ATTEMPTS")
		k.driverVerify(k.Client, d1, wrong(driver)).Refused(400, "OTP_MAX_ATTEMPTS")
		k.driverVerify(k.Client, d1, driver).Refused(400, "OTP_MAX_ATTEMPTS")
	})
}

// P05: a code is good once; the device that used it may repeat it and gets the same session.
func TestACodeIsGoodOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		mine, other := k.With("X-Device-Id", "mine"), k.With("X-Device-Id", "other")
		k.send(mine, c1, "customer").Want(200)
		code := k.lastCode(t)
		var first, again loggedIn
		k.verify(mine, c1, "customer", code).Want(200).Data(&first)
		k.verify(other, c1, "customer", code).Refused(400, "OTP_EXPIRED")
		k.verify(k.Client, c1, "customer", code).Refused(400, "OTP_EXPIRED")
		k.verify(mine, c1, "customer", wrong(code)).Refused(400, "OTP_EXPIRED")
		k.verify(mine, c1, "customer", code).Want(200).Data(&again)
		if again.Tokens.RefreshToken != first.Tokens.RefreshToken || again.User.ID != first.User.ID || again.IsNewUser {
			t.Errorf("another session: %+v, %+v", first, again)
		}
	})
}

// Racing: of many devices with the right code exactly one logs in.
func TestRacingDevices(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		// Two tasks share the stores.
		sms := &sink{}
		tasks := []task{start(t, p, options{sms: sms}), start(t, p, options{sms: sms})}
		tasks[0].send(tasks[0].Client, c1, "customer").Want(200)
		code := tasks[0].lastCode(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for i := range 5 {
			wg.Go(func() {
				k := tasks[i%2]
				a := k.verify(k.With("X-Device-Id", "d"+strconv.Itoa(i)), c1, "customer", code)
				mu.Lock()
				defer mu.Unlock()
				statuses[a.Status]++
			})
		}
		wg.Wait()
		if statuses[200] != 1 || statuses[400] != 4 {
			t.Errorf("statuses %v", statuses)
		}

		// The same device at once, as a client that repeats does: one session.
		tasks[1].send(tasks[1].Client, "9876543211", "customer").Want(200)
		code = tasks[0].lastCode(t)
		sessions := map[string]int{}
		for i := range 5 {
			wg.Go(func() {
				k := tasks[i%2]
				var in loggedIn
				if a := k.verify(k.With("X-Device-Id", "one"), "9876543211", "customer", code); a.Status == 200 {
					a.Data(&in)
				}
				mu.Lock()
				defer mu.Unlock()
				sessions[in.Tokens.RefreshToken]++
			})
		}
		wg.Wait()
		if len(sessions) != 1 || sessions[""] != 0 {
			t.Errorf("%d sessions, %d refused", len(sessions), sessions[""])
		}
	})
}
