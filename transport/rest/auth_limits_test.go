package rest_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/otp"
	"weelo/transport/rest/resttest"
)

// P06, P08, P09 on a clock that can be moved.
func TestTimesAndLimits(t *testing.T) {
	t.Parallel()
	c := &clock{}
	k := start(t, devPair(t, c.Now), options{clock: c})
	k.send(k.Client, c1, "customer").Want(200)
	first := k.lastCode(t)

	// P08
	a := k.send(k.Client, "+91 "+c1, "customer").Refused(429, "OTP_COOLDOWN")
	if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 30 || len(k.sms.all()) != 1 {
		t.Fatalf("Retry-After %q, %d messages", a.Header.Get("Retry-After"), len(k.sms.all()))
	}
	// The cool-down is per role: it does not hold up another role of the same phone.
	k.send(k.Client, c1, "transporter").Want(200)

	// P06
	c.Advance(5 * time.Minute)
	k.verify(k.Client, c1, "customer", first).Refused(400, "OTP_EXPIRED")

	// P09: one canonical phone over spellings and roles; cool-downs cost nothing.
	for _, spelling := range []string{"0" + c1, "91" + c1, "98765-43210"} {
		k.send(k.Client, spelling, "transporter").Want(200)
		c.Advance(31 * time.Second)
	}
	if a := k.send(k.Client, c1, "customer").Refused(429, "OTP_RATE_LIMIT_EXCEEDED"); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	k.send(k.Client, "9876543211", "customer").Want(200)
	c.Advance(time.Hour)
	k.send(k.Client, c1, "customer").Want(200)
}

// P07: the ceiling of failed tries outlives every resend.
func TestFailCeiling(t *testing.T) {
	t.Parallel()
	c := &clock{}
	k := start(t, devPair(t, c.Now), options{clock: c})
	for range 3 {
		k.send(k.Client, c1, "customer").Want(200)
		for range 5 {
			if a := k.verify(k.Client, c1, "customer", wrong(k.lastCode(t))); a.Status != 400 {
				t.Fatalf("%d %s", a.Status, a.Raw)
			}
		}
		c.Advance(time.Minute)
	}
	k.send(k.Client, c1, "customer").Want(200)
	a := k.verify(k.Client, c1, "customer", k.lastCode(t)).Refused(429, "TOO_MANY_ATTEMPTS")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// Another phone is not touched.
	k.login(t, k.Client, "9876543211", "customer")
}

// A stranger who uses up the failed tries of a phone does not lock its owner out: the device that has
// logged in before has five tries an hour of its own.
func TestAKnownDeviceKeepsItsLane(t *testing.T) {
	t.Parallel()
	c := &clock{}
	k := start(t, devPair(t, c.Now), options{clock: c})
	mine, stranger := k.With("X-Device-Id", "mine"), k.With("X-Device-Id", "stranger")
	k.login(t, mine, c1, "customer")
	for range 3 {
		c.Advance(time.Minute)
		k.send(stranger, c1, "customer").Want(200)
		for range 5 {
			k.verify(stranger, c1, "customer", wrong(k.lastCode(t))).Want(400)
		}
	}
	c.Advance(time.Hour)
	for range 6 { // what is compared with nothing uses up nothing
		k.verify(mine, c1, "customer", k.lastCode(t)).Refused(400, "OTP_EXPIRED")
	}
	k.send(mine, c1, "customer").Want(200)
	code := k.lastCode(t)
	k.verify(stranger, c1, "customer", code).Refused(429, "TOO_MANY_ATTEMPTS")
	k.verify(k.Client, c1, "customer", code).Refused(429, "TOO_MANY_ATTEMPTS")
	for range 4 {
		k.verify(mine, c1, "customer", wrong(code)).Refused(400, "INVALID_OTP")
	}
	k.verify(mine, c1, "customer", code).Want(200)
	// Logging in clears the count for everybody.
	c.Advance(time.Minute)
	k.login(t, stranger, c1, "customer")
}

// What a client without a device id calls its phone is no device id: anybody may have a phone of that name.
func TestANameOfAPhoneIsNoDevice(t *testing.T) {
	t.Parallel()
	c := &clock{}
	k := start(t, devPair(t, c.Now), options{clock: c})
	const name = "Samsung SM-A125F"
	k.send(k.Client, c1, "customer").Want(200)
	k.Call("POST", "/api/v1/auth/verify-otp", `{"phone":"`+c1+`","role":"customer","otp":"`+k.lastCode(t)+`","deviceName":"`+name+`"}`).Want(200)
	stranger := k.With("X-Device-Id", name)
	for range 3 {
		c.Advance(time.Minute)
		k.send(stranger, c1, "customer").Want(200)
		for range 5 {
			k.verify(stranger, c1, "customer", wrong(k.lastCode(t))).Want(400)
		}
	}
	c.Advance(time.Minute)
	k.send(k.Client, c1, "customer").Want(200)
	k.verify(stranger, c1, "customer", k.lastCode(t)).Refused(429, "TOO_MANY_ATTEMPTS")
}

// The lane is narrow.
func TestTheLaneOfAKnownDeviceIsNarrow(t *testing.T) {
	t.Parallel()
	c := &clock{}
	k := start(t, devPair(t, c.Now), options{clock: c})
	mine := k.With("X-Device-Id", "mine")
	k.login(t, mine, c1, "customer")
	for range 4 { // 15 to the ceiling, then the lane
		c.Advance(time.Minute)
		k.send(mine, c1, "customer").Want(200)
		for range 5 {
			k.verify(mine, c1, "customer", wrong(k.lastCode(t))).Want(400)
		}
	}
	c.Advance(58 * time.Minute)
	k.send(mine, c1, "customer").Want(200)
	k.verify(mine, c1, "customer", k.lastCode(t)).Refused(429, "TOO_MANY_ATTEMPTS")
	c.Advance(3 * time.Minute)
	k.verify(mine, c1, "customer", k.lastCode(t)).Want(200)
}

// P10, P11: a code is good for its flow, role and phone only.
func TestACodeIsGoodForItsPurposeOnly(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		people(t, p)
		k := start(t, p, options{})
		k.send(k.Client, d1, "customer").Want(200)
		k.driverSend(k.Client, d1).Want(200)
		own, driver := k.sms.all()[0].Code, k.sms.all()[1].Code
		k.verify(k.Client, d1, "transporter", own).Refused(400, "OTP_EXPIRED")
		k.verify(k.Client, d1, "customer", driver).Refused(400, "INVALID_OTP")
		k.driverVerify(k.Client, d1, own).Refused(400, "OTP_INVALID")
		k.verify(k.Client, "9876500009", "customer", own).Refused(400, "OTP_EXPIRED")
		for _, role := range []string{"driver", "admin", "ops", "Customer", "CUSTOMER "} {
			k.send(k.Client, c1, role).Refused(400, "VALIDATION_ERROR")
		}
		k.driverVerify(k.Client, d1, driver).Want(200)
		k.verify(k.Client, d1, "customer", own).Want(200)
	})
}

// Ops log in by the same call, with a listed phone; any other is answered like a bad role.
func TestOps(t *testing.T) {
	t.Parallel()
	k := start(t, devPair(t, time.Now), options{})
	bad := k.send(k.Client, c1, "nobody").Refused(400, "VALIDATION_ERROR")
	strip := regexp.MustCompile(`"requestId":"[^"]*"`)
	if ops := k.send(k.Client, c1, "ops").Refused(400, "VALIDATION_ERROR"); strip.ReplaceAllString(string(ops.Raw), "") != strip.ReplaceAllString(string(bad.Raw), "") {
		t.Errorf("ops for a stranger: %s, a bad role: %s", ops.Raw, bad.Raw)
	}
	in := k.login(t, k.Client, ops1, "ops")
	if id, err := k.mint.Verify(in.Tokens.AccessToken, time.Now()); err != nil || id.Role != fleet.Ops {
		t.Errorf("%+v, %v", id, err)
	}
}

// P12: another's challenge costs the victim nothing, and a stranger's request does not kill a code.
func TestStrangersCannotSpoilALogin(t *testing.T) {
	t.Parallel()
	c := &clock{}
	k := start(t, devPair(t, c.Now), options{clock: c})
	var theirs sentCode
	k.send(k.Client, "9876543299", "customer").Want(200).Data(&theirs)
	k.send(k.Client, c1, "customer").Want(200)
	code := k.lastCode(t)
	for range 8 {
		k.Call(http.MethodPost, api+"/auth/verify-otp", map[string]string{"phone": c1, "role": "customer", "otp": wrong(code), "challengeId": theirs.ChallengeID}).
			Refused(400, "INVALID_OTP")
	}
	c.Advance(31 * time.Second)
	k.send(k.With("X-Forwarded-For", "203.0.113.66"), c1, "customer").Want(200)
	k.verify(k.Client, c1, "customer", code).Want(200)
}

// P13, P14: what is not a phone, and what is not one reading, changes nothing.
func TestBadInput(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		k := start(t, p, options{})
		for _, number := range []string{"+14155550123", "12345", "९८७६५४३२१०", "98765:43210", "", "9876543210; DROP"} {
			k.send(k.Client, number, "customer").Refused(400, "VALIDATION_ERROR")
			k.driverSend(k.Client, number).Refused(400, "VALIDATION_ERROR")
			k.verify(k.Client, number, "customer", "123456").Refused(400, "VALIDATION_ERROR")
		}
		post := func(path, body string) resttest.Answer { return k.Call(http.MethodPost, api+path, body) }
		for _, body := range []string{
			`{"phone":"9876543210","PHONE":"9876543211","role":"customer"}`,
			`{"phone":"9876543210","phone":"9876543211","role":"customer"}`,
			`{"Phone":"9876543210","role":"customer"}`,
			`{"phone":"9876543210","role":"customer"}{"phone":"9876543211"}`,
			`{"phone":"9876543210","role":"customer"} true`,
			`{"phone":9876543210,"role":"customer"}`,
			`{"phone":["9876543210"],"role":"customer"}`,
			`{"phone":"9876543210","role":"customer","admin":true}`,
			`{"role":"customer"}`, `[]`, `null`, `"9876543210"`, ``,
		} {
			post("/auth/send-otp", body).Refused(400, "VALIDATION_ERROR")
		}
		for _, code := range []string{`123456`, `null`, `["123456"]`, `"12345"`, `"1234567"`, `"12345a"`, `"１２３４５６"`, `" 123456"`} {
			post("/auth/verify-otp", `{"phone":"9876543210","role":"customer","otp":`+code+`}`).Refused(400, "VALIDATION_ERROR")
		}
		post("/auth/send-otp", `{"phone":"9876543210","role":"`+strings.Repeat("x", 1<<20)+`"}`).Refused(413, "PAYLOAD_TOO_LARGE")
		k.With("Content-Type", "text/plain").Call(http.MethodPost, api+"/auth/send-otp", `{"phone":"9876543210"}`).Refused(415, "UNSUPPORTED_MEDIA_TYPE")
		if n := len(k.sms.all()); n != 0 {
			t.Errorf("%d messages", n)
		}
		if p.keys != nil && len(p.keys()) != 0 {
			t.Errorf("keys: %v", p.keys())
		}
	})
}

// Driver codes have a limit of their own per transporter, and leave the transporter's own login alone.
func TestDriverCodesAreLimitedPerTransporter(t *testing.T) {
	t.Parallel()
	c := &clock{}
	p := devPair(t, c.Now)
	people(t, p)
	k := start(t, p, options{clock: c})
	for range 10 {
		k.driverSend(k.Client, d1).Want(200)
		c.Advance(30 * time.Second)
	}
	if a := k.driverSend(k.Client, d1).Refused(429, "SMS_RATE_LIMIT_EXCEEDED"); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	k.send(k.Client, t1, "transporter").Want(200)
	c.Advance(time.Hour)
	k.driverSend(k.Client, d1).Want(200)
}

// LOGIN_TIME_SCALE shortens what it should, and tells clients so.
func TestScaledLogin(t *testing.T) {
	t.Parallel()
	c := &clock{}
	k := start(t, devPair(t, c.Now), options{clock: c, policy: otp.DefaultPolicy().Scaled(60)})
	var sent sentCode
	k.send(k.Client, c1, "customer").Want(200).Data(&sent)
	if sent.ExpiresIn != 5 {
		t.Errorf("expires in %d", sent.ExpiresIn)
	}
	c.Advance(5 * time.Second)
	k.verify(k.Client, c1, "customer", k.lastCode(t)).Refused(400, "OTP_EXPIRED")
	k.send(k.Client, c1, "customer").Want(200)
}
