package rest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"weelo/internal/fleet"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// TestADeliveryNeedsTheCustomersCode: with POD_OTP on, the customer is shown a code from the departure on,
// and the driver ends the trip with it only.
func TestADeliveryNeedsTheCustomersCode(t *testing.T) {
	t.Parallel()
	y := openYard(t, dev(t), func(y *yard) { y.podCode = true })
	id := y.accepted(0)
	driver, customer := y.asDriver(0), y.asCustomer()
	step := func(status, code string) resttest.Answer {
		return driver.Call("PUT", "/api/v1/tracking/trip/"+id+"/status", fmt.Sprintf(`{"status":%q,"otp":%q}`, status, code))
	}
	shown := func(by *resttest.Client) string {
		var seen rest.TrackData
		answer := by.Call("GET", "/api/v1/tracking/"+id, nil).Want(200).Data(&seen)
		if seen.DeliveryCode == "" && strings.Contains(string(answer.Raw), "deliveryCode") {
			t.Errorf("no code is spelled: %s", answer.Raw)
		}
		return seen.DeliveryCode
	}
	step("at_pickup", "").Want(200)
	if code := shown(customer); code != "" {
		t.Errorf("before the departure the customer has the code %s", code)
	}
	step("in_transit", "").Want(200)
	code := shown(customer)
	if !regexp.MustCompile(`^\d{4}$`).MatchString(code) {
		t.Fatalf("the customer has the code %q", code)
	}
	for role, by := range map[fleet.Role]*resttest.Client{fleet.Driver: driver, fleet.Transporter: y.asOwner()} {
		if got := shown(by); got != "" {
			t.Errorf("a %s is shown the customer's code", role)
		}
	}
	wrong := "0000"
	if code == wrong {
		wrong = "1111"
	}
	step("completed", "").Refused(400, "POD_OTP_REQUIRED")
	step("completed", wrong).Refused(400, "POD_OTP_INVALID")
	step("arrived_at_drop", "").Want(200)
	if again := shown(customer); again != code {
		t.Errorf("the code became %s", again)
	}
	step("completed", code).Want(200)
	step("completed", code).Want(200) // the reply was lost
	if got := shown(customer); got != "" {
		t.Errorf("the delivered customer is still shown a code")
	}
}

// TestWrongDeliveryCodesAreLimited: whoever tries codes has to wait, the right one included.
func TestWrongDeliveryCodesAreLimited(t *testing.T) {
	t.Parallel()
	y := openYard(t, dev(t), func(y *yard) { y.podCode = true })
	id := y.accepted(0)
	path := "/api/v1/tracking/trip/" + id + "/status"
	driver := y.asDriver(0)
	driver.Call("PUT", path, `{"status":"in_transit"}`).Want(200)
	var seen rest.TrackData
	y.asCustomer().Call("GET", "/api/v1/tracking/"+id, nil).Want(200).Data(&seen)
	wrong := "0000"
	if seen.DeliveryCode == wrong {
		wrong = "1111"
	}
	for range 5 {
		driver.Call("PUT", path, `{"status":"completed","otp":"`+wrong+`"}`).Refused(400, "POD_OTP_INVALID")
	}
	driver.Call("PUT", path, `{"status":"completed","otp":"`+seen.DeliveryCode+`"}`).Refused(429, "POD_OTP_LOCKED")
}
