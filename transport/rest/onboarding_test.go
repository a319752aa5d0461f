package rest_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/otp"
	"weelo/internal/token"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

const d2 = "9123456780" // who drives for nobody yet

// owner is a client of a transporter.
func (k task) owner(t *testing.T, id fleet.UserID) *resttest.Client {
	t.Helper()
	s, _, err := k.mint.Access(token.Identity{UserID: id, Role: fleet.Transporter, SessionID: "s-" + string(id)}, k.clock.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k.As(s)
}

// rival enrols a second transporter.
func rival(t *testing.T, p pair) fleet.UserID {
	t.Helper()
	u, _, err := p.users.Enrol(t.Context(), fleet.User{ID: "33333333-3333-4333-8333-333333333333", Phone: "+919876500002", Role: fleet.Transporter,
		Name: "Bharat Carriers", CreatedAt: time.Now(), UpdatedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

func inviteJSON(phone string) string {
	return fmt.Sprintf(`{"phone":%q,"name":" Suresh ","licenseNumber":"ka0120210009999","licensePhoto":null,"email":null}`, phone)
}

func verifyJSON(phone, code string) string { return fmt.Sprintf(`{"phone":%q,"otp":%q}`, phone, code) }

const (
	initiate = "/api/v1/driver/onboard/initiate"
	resend   = "/api/v1/driver/onboard/resend"
	verify   = "/api/v1/driver/onboard/verify"
)

func TestADriverJoinsWithACodeFromHisOwnPhone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		boss, _ := people(t, p)
		k := start(t, p, options{})
		owner := k.owner(t, boss)
		var invited rest.InvitedData
		owner.Call("POST", initiate, inviteJSON(d2)).Want(200).Data(&invited)
		if invited.DriverPhoneMasked != "91****780" || invited.ExpiresInMinutes != 10 || invited.ExpiresIn != 600 {
			t.Errorf("invited %+v", invited)
		}
		sms := k.sms.all()
		if len(sms) != 1 || sms[0].To.National() != d2 || !strings.Contains(sms[0].Body, "Asha Roadlines") || strings.Contains(k.log.String(), sms[0].Code) {
			t.Fatalf("sent %+v; want one to the driver that names the fleet, and the code in no log", sms)
		}
		owner.Call("POST", resend, `{"phone":"`+d2+`"}`).Refused(429, "OTP_COOLDOWN")
		if _, err := p.users.ByPhone(t.Context(), "+91"+d2, fleet.Driver); err == nil {
			t.Error("he is enrolled before he agreed")
		}
		var got, again rest.OnboardedData
		owner.Call("POST", verify, verifyJSON(d2, sms[0].Code)).Want(201).Data(&got)
		owner.Call("POST", verify, verifyJSON(d2, sms[0].Code)).Want(201).Data(&again) // the answer was lost
		notes := k.told.noted()
		id := got.Driver.ID
		if len(notes) != 2 || notes[0] != notes[1] || !strings.HasPrefix(notes[0], string(boss)+` driver_changed {"action":"added","driverId":"`+id+
			`","driverStats":{"total":2,"available":0,"onTrip":0},"driver":{"id":"`+id+`"`) {
			t.Errorf("devices heard %q", notes)
		}
		if got != again || got.Driver.Name != "Suresh" || got.Driver.Phone != d2 || got.Driver.LicenseNumber != "KA0120210009999" || !got.Driver.IsVerified {
			t.Errorf("joined %+v, again %+v", got, again)
		}
		u, err := p.users.User(t.Context(), fleet.UserID(got.Driver.ID))
		if err != nil || u.TransporterID != boss || u.MembershipVersion != 1 || u.Role != fleet.Driver {
			t.Errorf("stored %+v, %v", u, err)
		}
		owner.Call("POST", initiate, inviteJSON(d2)).Refused(409, "DRIVER_EXISTS")
		k.owner(t, rival(t, p)).Call("POST", initiate, inviteJSON(d2)).Refused(409, "DRIVER_ALREADY_IN_FLEET")
		k.Call("POST", "/api/v1/driver-auth/send-otp", `{"driverPhone":"`+d2+`"}`).Want(200) // and may log in
	})
}

func TestACodeIsForOneFleet(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		boss, _ := people(t, p)
		policy := otp.DefaultPolicy()
		policy.Cooldown = time.Millisecond
		k := start(t, p, options{policy: policy})
		mine, theirs := k.owner(t, boss), k.owner(t, rival(t, p))
		mine.Call("POST", initiate, inviteJSON(d2)).Want(200)
		theirs.Call("POST", initiate, inviteJSON(d2)).Want(200)
		sms := k.sms.all()
		mine.Call("POST", verify, verifyJSON(d2, sms[1].Code)).Refused(400, "INVALID_OTP")
		theirs.Call("POST", verify, verifyJSON(d2, sms[1].Code)).Want(201)
		mine.Call("POST", verify, verifyJSON(d2, sms[0].Code)).Refused(400, "OTP_EXPIRED")
		u, err := p.users.ByPhone(t.Context(), "+91"+d2, fleet.Driver)
		if err != nil || u.TransporterID == boss || u.MembershipVersion != 1 {
			t.Errorf("stored %+v, %v", u, err)
		}
	})
}

func TestThreeWrongCodesEndAnInvitation(t *testing.T) {
	t.Parallel()
	p := devPair(t, time.Now)
	boss, _ := people(t, p)
	policy := otp.DefaultPolicy()
	policy.Cooldown = time.Millisecond
	k := start(t, p, options{policy: policy})
	owner := k.owner(t, boss)
	owner.Call("POST", resend, `{"phone":"`+d2+`"}`).Refused(404, "INVITATION_NOT_FOUND")
	owner.Call("POST", initiate, inviteJSON(d2)).Want(200)
	right := k.sms.all()[0].Code
	wrong := "000000"
	if right == wrong {
		wrong = "111111"
	}
	owner.Call("POST", verify, verifyJSON(d2, wrong)).Refused(400, "INVALID_OTP")
	owner.Call("POST", verify, verifyJSON(d2, wrong)).Refused(400, "INVALID_OTP")
	owner.Call("POST", verify, verifyJSON(d2, wrong)).Refused(400, "MAX_ATTEMPTS")
	owner.Call("POST", verify, verifyJSON(d2, right)).Refused(400, "MAX_ATTEMPTS")
	if n, err := p.fails.CountFails(t.Context(), "+91"+d2, time.Now().Add(-time.Hour)); err != nil || n != 0 {
		t.Errorf("a transporter's guesses count against the driver's own login: %d, %v", n, err)
	}
	owner.Call("POST", resend, `{"phone":"`+d2+`"}`).Want(200)
	owner.Call("POST", verify, verifyJSON(d2, k.sms.all()[1].Code)).Want(201)
}

func TestWhoMayInviteAndWhom(t *testing.T) {
	t.Parallel()
	p := devPair(t, time.Now)
	boss, driver := people(t, p)
	k := start(t, p, options{})
	owner := k.owner(t, boss)
	owner.Call("POST", initiate, inviteJSON(d1)).Refused(409, "DRIVER_EXISTS")
	for _, body := range []string{inviteJSON("12345"), `{"phone":"` + d2 + `","name":"","licenseNumber":"KA0120210009999"}`,
		`{"phone":"` + d2 + `","name":"   ","licenseNumber":"KA0120210009999"}`, `{"phone":"` + d2 + `","name":"Suresh"}`, `{}`} {
		owner.Call("POST", initiate, body).Refused(400, "VALIDATION_ERROR")
	}
	owner.Call("POST", verify, verifyJSON(d2, "12345")).Refused(400, "VALIDATION_ERROR")
	owner.Call("POST", verify, verifyJSON(d2, "123456")).Refused(400, "OTP_EXPIRED")
	s, _, err := k.mint.Access(token.Identity{UserID: driver, Role: fleet.Driver, SessionID: "s", TransporterID: boss}, k.clock.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k.As(s).Call("POST", initiate, inviteJSON(d2)).Refused(403, "FORBIDDEN")
	k.Call("POST", initiate, inviteJSON(d2)).Refused(401, "UNAUTHORIZED")
	if n := len(k.sms.all()); n != 0 {
		t.Errorf("%d messages sent", n)
	}
}

func TestADriverWhoIsRemovedIsLoggedOutAndMayJoinAnother(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		boss, driver := people(t, p)
		policy := otp.DefaultPolicy()
		policy.Cooldown = time.Millisecond
		k := start(t, p, options{policy: policy})
		k.Call("POST", "/api/v1/driver-auth/send-otp", `{"driverPhone":"`+d1+`"}`).Want(200)
		var in struct{ AccessToken, RefreshToken string }
		k.Call("POST", "/api/v1/driver-auth/verify-otp", `{"driverPhone":"`+d1+`","otp":"`+k.sms.all()[0].Code+`"}`).Want(200).Data(&in)
		const of = "/api/v1/profile/drivers/"
		theirs := k.owner(t, rival(t, p))
		theirs.Call("DELETE", of+string(driver), nil).Refused(404, "DRIVER_NOT_FOUND")
		k.owner(t, boss).Call("DELETE", of+string(driver), nil).Want(200)
		k.owner(t, boss).Call("DELETE", of+string(driver), nil).Refused(404, "DRIVER_NOT_FOUND")
		heard := string(boss) + ` driver_changed {"action":"deleted","driverId":"` + string(driver) + `","driverStats":{"total":0,"available":0,"onTrip":0}}`
		if diff := cmp.Diff([]string{heard}, k.told.noted()); diff != "" {
			t.Errorf("devices heard (-want +got):\n%s", diff)
		}
		k.As(in.AccessToken).Call("POST", "/api/v1/auth/logout", nil).Refused(401, "UNAUTHORIZED")
		k.Call("POST", "/api/v1/auth/refresh", `{"refreshToken":"`+in.RefreshToken+`"}`).Refused(401, "INVALID_REFRESH_TOKEN")
		k.Call("POST", "/api/v1/driver-auth/send-otp", `{"driverPhone":"`+d1+`"}`).Refused(400, "NO_TRANSPORTER")
		theirs.Call("POST", initiate, inviteJSON(d1)).Want(200)
		var got rest.OnboardedData
		theirs.Call("POST", verify, verifyJSON(d1, k.sms.all()[1].Code)).Want(201).Data(&got)
		u, err := p.users.User(t.Context(), driver)
		if err != nil || got.Driver.ID != string(driver) || u.TransporterID == boss || u.MembershipVersion != 3 {
			t.Errorf("joined as %+v, stored %+v, %v", got, u, err)
		}
	})
}

// A driver needs nobody's leave to go: his sessions end, his transporter's devices hear of it, and another fleet may
// take him.
func TestADriverLeavesByHimself(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, p pair) {
		boss, driver := people(t, p)
		k := start(t, p, options{})
		k.Call("POST", "/api/v1/driver-auth/send-otp", `{"driverPhone":"`+d1+`"}`).Want(200)
		var in struct{ AccessToken, RefreshToken string }
		k.Call("POST", "/api/v1/driver-auth/verify-otp", `{"driverPhone":"`+d1+`","otp":"`+k.sms.all()[0].Code+`"}`).Want(200).Data(&in)
		const leave = "/api/v1/profile/my-transporter"
		k.owner(t, boss).Call("DELETE", leave, nil).Refused(403, "FORBIDDEN")
		k.Call("DELETE", leave, nil).Refused(401, "UNAUTHORIZED")
		k.As(in.AccessToken).Call("DELETE", leave, nil).Want(200)
		u, err := p.users.User(t.Context(), driver)
		if err != nil || u.TransporterID != "" || u.MembershipVersion != 2 {
			t.Errorf("stored %+v, %v", u, err)
		}
		heard := string(boss) + ` driver_changed {"action":"deleted","driverId":"` + string(driver) + `","driverStats":{"total":0,"available":0,"onTrip":0}}`
		if diff := cmp.Diff([]string{heard}, k.told.noted()); diff != "" {
			t.Errorf("devices heard (-want +got):\n%s", diff)
		}
		k.As(in.AccessToken).Call("DELETE", leave, nil).Refused(401, "UNAUTHORIZED")
		k.Call("POST", "/api/v1/auth/refresh", `{"refreshToken":"`+in.RefreshToken+`"}`).Refused(401, "INVALID_REFRESH_TOKEN")
		theirs := k.owner(t, rival(t, p))
		theirs.Call("POST", initiate, inviteJSON(d1)).Want(200)
		theirs.Call("POST", verify, verifyJSON(d1, k.sms.all()[1].Code)).Want(201)
	})
}
