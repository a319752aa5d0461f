package security

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// user is somebody who has logged in, on a device of his own.
type user struct {
	*caller
	phone   string
	id      string
	refresh string
}

// credentials are the bodies of the two login calls of customers, transporters and ops.
func asking(phone, role string) object { return object{"phone": phone, "role": role} }
func submitting(phone, role, code string) object {
	return object{"phone": phone, "role": role, "otp": code}
}

// login sends a code and comes back with it, from an address and a device of its own.
func (h *house) login(t testing.TB, phone, role string) *user {
	t.Helper()
	return h.stranger(t).login(phone, role)
}

func (c *caller) login(phone, role string) *user {
	c.t.Helper()
	c.patiently("auth/send-otp", asking(phone, role)).ok()
	in := c.patiently("auth/verify-otp", submitting(phone, role, c.house.sms.next(c.t, phone).Code)).ok()
	return &user{c.with(in.text("tokens", "accessToken")), phone, in.text("user", "id"), in.text("tokens", "refreshToken")}
}

// patiently posts as the apps do, again after a 503: on a machine that is busy with other things the shared
// store may take longer than a login waits for it. Nothing that a check is about is asked so.
func (c *caller) patiently(path string, body any) (a answer) {
	c.t.Helper()
	eventually(c.t, 40*time.Second, path+" without a 503", func() bool {
		if a.status == http.StatusServiceUnavailable {
			pass(c.t, time.Duration(a.retryAfter())*time.Second)
		}
		a = c.post(path, body)
		return a.status != http.StatusServiceUnavailable
	})
	return a
}

func (h *house) customer(t testing.TB) *user { t.Helper(); return h.login(t, newPhone(), "customer") }

// crew is a transporter with one driver and one truck.
type crew struct {
	*user
	driverPhone, driverID string
	vehicleID, plate      string
}

// crew makes one as people do: the driver agrees by telling the code that came to his own phone.
func (h *house) crew(t testing.TB) *crew {
	t.Helper()
	boss := h.login(t, newPhone(), "transporter")
	c := &crew{user: boss, driverPhone: newPhone()}
	boss.patiently("driver/onboard/initiate", object{"phone": c.driverPhone, "name": "Ravi Kumar", "licenseNumber": "KA0120210001234"}).ok()
	c.driverID = boss.patiently("driver/onboard/verify", object{"phone": c.driverPhone, "otp": h.sms.next(t, c.driverPhone).Code}).ok().text("driver", "id")
	c.plate = fmt.Sprintf("KA01AB%04d", callers.Add(1)%10000)
	c.vehicleID = boss.ask(http.MethodPut, "/api/v1/vehicles/upsert", object{
		"vehicleNumber": c.plate, "vehicleType": "open", "vehicleSubtype": "17 Feet", "capacity": "7 ton",
	}).ok().text("vehicle", "id")
	return c
}

// driver logs the crew's driver in; the code comes to the transporter.
func (c *crew) driver(t testing.TB) *user {
	t.Helper()
	phone := c.house.stranger(t)
	phone.patiently("driver-auth/send-otp", object{"driverPhone": c.driverPhone}).ok()
	in := phone.patiently("driver-auth/verify-otp", object{"driverPhone": c.driverPhone, "otp": c.house.sms.next(t, c.phone).Code}).ok()
	return &user{phone.with(in.text("accessToken")), c.driverPhone, in.text("driver", "id"), in.text("refreshToken")}
}

// journey is a trip under way with everybody it concerns.
type journey struct {
	trip     string
	customer *user
	crew     *crew
	driver   *user
}

// place names a point as the API does.
func place(lat, lng float64, name string) object {
	return object{"latitude": lat, "longitude": lng, "address": name}
}

// journey starts a trip that its driver has accepted.
func (h *house) journey(t testing.TB) *journey {
	t.Helper()
	j := &journey{customer: h.customer(t), crew: h.crew(t)}
	j.driver = j.crew.driver(t)
	j.trip = j.crew.post("assignments", object{
		"vehicleId": j.crew.vehicleID, "driverId": j.crew.driverID, "customerPhone": j.customer.phone,
		"pickup": place(12.9716, 77.5946, "MG Road, Bengaluru"), "drop": place(13.0827, 80.2707, "Chennai"),
	}).ok().text("tripId")
	j.driver.ask(http.MethodPatch, "/api/v1/assignments/"+j.trip+"/accept", nil).ok()
	return j
}

// renew exchanges a refresh token.
func (c *caller) renew(refresh string) answer {
	c.t.Helper()
	return c.post("auth/refresh", object{"refreshToken": refresh})
}
