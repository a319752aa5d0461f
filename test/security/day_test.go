package security

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// day is what happens, and what must not be read of it.
type day struct {
	*talkative
	t       *testing.T
	secrets []secret
	phones  []string

	customer, driver *user
	crew             *crew
	trip             string
}

func (d *day) phone() string {
	n := newPhone()
	d.phones = append(d.phones, n)
	return n
}

func (d *day) keeps(what string, tokens ...string) {
	for _, token := range tokens {
		if len(token) < 16 {
			d.t.Errorf("%s is only %q", what, token)
			continue
		}
		d.secrets = append(d.secrets, aToken(what, token))
	}
}

func (d *day) remember(u *user) *user {
	d.phones = append(d.phones, u.phone)
	d.keeps("access token", u.token)
	d.keeps("refresh token", u.refresh)
	return u
}

// people log in as they do, renew, and leave. Ops stays for the end.
func (d *day) people() (ops *user) {
	d.crew = d.house.crew(d.t)
	d.remember(d.crew.user)
	d.driver = d.remember(d.crew.driver(d.t))
	d.customer = d.remember(d.house.customer(d.t))
	again := d.customer.renew(d.customer.refresh).ok()
	d.keeps("access token", again.text("accessToken"))
	d.keeps("refresh token", again.text("refreshToken"))
	gone := d.remember(d.house.customer(d.t))
	child := gone.renew(gone.refresh).ok().text("refreshToken")
	gone.renew(child).ok()
	gone.renew(gone.refresh).refused(401) // reuse: the family is revoked
	left := d.remember(d.house.customer(d.t))
	left.post("auth/logout-all", nil).ok()

	number := d.phone() // a guesser
	guesser := d.stranger(d.t)
	guesser.post("auth/send-otp", asking(number, "customer")).ok()
	right := d.sms.next(d.t, number).Code
	for i := range 6 {
		guesser.post("auth/verify-otp", submitting(number, "customer", wrong(right, i))).refused(400)
	}
	guesser.post("driver-auth/send-otp", object{"driverPhone": d.phone()}).refused(404)
	return d.remember(d.login(d.t, d.opsUser, "ops"))
}

// order goes from the wish to the end of the trip, followed by somebody with a link.
func (d *day) order() {
	boss, drives := d.crew.user, d.driver
	boss.ask(http.MethodPut, "/api/v1/transporter/availability", object{"isAvailable": true}).ok()
	eventually(d.t, 20*time.Second, "the transporter online", func() bool {
		return strings.Contains(boss.post("transporter/heartbeat", object{"latitude": 12.9720, "longitude": 77.5950, "isOnTrip": false}).ok().body, "open_17ft")
	})
	drives.ask(http.MethodPut, "/api/v1/driver/availability", object{"isOnline": true}).ok()
	order := d.customer.post("bookings/orders", object{
		"distanceKm": 145, "goodsType": "Tiles, call " + d.phone(),
		"pickup": place(12.9716, 77.5946, "Yard A, call "+d.phone()), "drop": place(12.2958, 76.6394, "Dock B, Mysuru"),
		"vehicleRequirements": []object{{"vehicleType": "open", "vehicleSubtype": "17 Feet", "quantity": 1, "pricePerTruck": 9000}},
	}).ok().text("order", "id")
	hold := boss.post("truck-hold/hold", object{"orderId": order, "vehicleType": "open", "vehicleSubtype": "17 Feet", "quantity": 1}).ok().text("holdId")
	boss.post("truck-hold/confirm-with-assignments", object{"holdId": hold, "assignments": []object{{"vehicleId": d.crew.vehicleID, "driverId": d.crew.driverID}}}).ok()
	d.trip = drives.get("tracking/active-trip").ok().text("tripId")
	drives.ask(http.MethodPatch, "/api/v1/assignments/"+d.trip+"/accept", nil).ok()

	link := d.customer.post("trips/"+d.trip+"/share", nil).ok()
	d.keeps("share token", link.text("token"))
	seen := d.stranger(d.t).post("share/exchange", object{"token": link.text("token")}).ok()
	d.keeps("viewer's token", seen.text("accessToken"))
	viewer := d.stranger(d.t).with(seen.text("accessToken")).connect()

	for _, step := range []string{"at_pickup", "loading_complete", "in_transit"} {
		drives.ask(http.MethodPut, "/api/v1/tracking/trip/"+d.trip+"/status", object{"status": step}).ok()
	}
	drives.post("tracking/batch", object{"tripId": d.trip, "points": []object{{
		"latitude": 12.2960, "longitude": 76.6394, "speed": 11.2, "bearing": 180, "accuracy": 8, "timestamp": time.Now().UTC().Format(time.RFC3339Nano),
	}}}).ok()
	viewer.send(object{"t": "watch", "id": "w1", "trip": d.trip})
	viewer.read("trip")
	drives.ask(http.MethodPut, "/api/v1/tracking/trip/"+d.trip+"/status", object{"status": "completed"}).ok()
	eventually(d.t, 20*time.Second, "the order's end", func() bool {
		return d.customer.get("bookings/orders/"+order+"/status").ok().text("status") == "completed"
	})
	d.customer.ask(http.MethodDelete, "/api/v1/trips/"+d.trip+"/share/"+link.text("shareId"), nil).ok()
}

// sockets of both kinds, with a ticket and with phones where none belongs.
func (d *day) sockets() {
	ticket := d.customer.post("ws-tickets", nil).ok().text("ticket")
	d.keeps("ticket", ticket)
	s, status := d.customer.with("").upgrade("/ws/v1", append([]string{"ticket." + ticket}, native...))
	if s == nil {
		d.t.Fatalf("a ticket is refused: %d", status)
	}
	s.send(object{"t": "hello", "device": "phone of " + d.phone()})
	s.read("welcome")
	s.send(object{"t": "watch", "id": "call " + d.phone(), "trip": d.phone()})
	s.read("error")
	s.send(object{"t": "unwatch", "id": "+91" + d.phone()})
	s.read("error")
	s.send(`{"t":"` + d.phone() + `"`)
	s.end(wait)
	if s, _ := d.stranger(d.t).upgrade("/ws/v1?token="+url.QueryEscape(d.customer.token), native); s != nil {
		d.t.Error("a token in the address is let in")
	}
	io := d.socketIO()
	for _, event := range []string{
		`42["join_trip",{"tripId":"` + d.phone() + `"}]`, `421["join_order",{"orderId":"` + d.phone() + `"}]`, `42["` + d.phone() + `",{}]`,
		`42["fcm_token_refresh",{"token":"` + d.phone() + `"}]`, `42["update_location",{"latitude":"` + d.phone() + `"}]`,
	} {
		io.send(event)
	}
	io.send(`42[` + d.phone() + `"`)
	_ = io.conn.CloseNow()
}

// socketIO connects as the customer's app does.
func (d *day) socketIO() *socket {
	s, status := d.customer.upgrade("/socket.io/?EIO=4&transport=websocket&phone="+d.phone(), nil)
	if s == nil {
		d.t.Fatalf("socket.io: %d", status)
	}
	s.send(`40{"token":"` + d.customer.token + `"}`)
	for range 2 { // the opening, and the answer to the connection
		if _, packet, err := s.conn.Read(d.t.Context()); err != nil || packet[0] != '0' && !strings.HasPrefix(string(packet), "40") {
			d.t.Fatalf("socket.io: %q %v", packet, err)
		}
	}
	return s
}

// strangeInput puts phones where they do not belong.
func (d *day) strangeInput() {
	c := d.customer
	for _, path := range []string{
		"/api/v1/users/%s", "/%s", "/api/v1/tracking/%s", "/api/v1/tracking/history/%s?cursor=%[1]s&limit=%[1]s", "/api/v1/bookings/%s", "/api/v1/orders/%s/explain",
		"/api/v1/bookings/orders/%s/status", "/api/v1/assignments/%s", "/api/v1/trips/%%2B91%s", "/api/v1/vehicles/%s", "/t/%s", "/health?phone=%s", "/api/v1/vehicles/pricing?vehicleType=%s&distanceKm=1",
	} {
		c.ask(http.MethodGet, fmt.Sprintf(path, d.phone()), nil)
	}
	n := d.phone()
	c.get("bookings/" + n[:5] + "%20" + n[5:])
	c.ask(http.MethodPost, "/api/v1/"+d.phone(), object{})
	c.ask("LOOK"+d.phone(), "/api/v1/profile", nil)
	for _, body := range []string{
		`{"phone":"%s","role":"customer"`, `{"phone":%s,"role":"customer"}`, `{"phone":"%s","role":"%[1]s"}`, `{"%s":1}`, `{"phone":"%s","phone":"%[1]s"}`, `%s`,
		`{"phone":["%s"],"role":"customer"}`, `{"phone":"0%s x","role":"customer"}`, `{"phone":"+1%s","role":"customer"}`, `{"phone":"%s","role":"customer"} trailing`,
	} {
		d.stranger(d.t).ask(http.MethodPost, "/api/v1/auth/send-otp", fmt.Sprintf(body, d.phone()))
	}
	d.stranger(d.t).post("auth/verify-otp", object{"phone": d.phone(), "role": "customer", "otp": "12345"})
	d.stranger(d.t).ask(http.MethodPost, "/api/v1/auth/send-otp", `{"phone":"`+d.phone()+`","role":"customer"}`, "Content-Type", "text/"+d.phone())
	for _, header := range []string{
		"X-Request-Id", "X-Device-Id", "X-Idempotency-Key", "X-Trace-ID", "User-Agent", "X-Forwarded-For", "Forwarded", "X-Real-IP", "Referer", "Cookie",
		"Origin", "Accept", "Authorization", "traceparent", "baggage", "X-" + d.phone(),
	} {
		c.ask(http.MethodGet, "/api/v1/auth/me", nil, header, d.phone())
	}
	c.ask(http.MethodGet, "/api/v1/auth/me", nil, "Host", d.phone())
	c.ask(http.MethodGet, "/api/v1/auth/me", nil, "Authorization", "Bearer "+d.phone()+".a.b")
	c.ask(http.MethodGet, "/api/v1/auth/me", nil, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate", "vendor="+d.phone(), "baggage", "who="+d.phone())
	c.ask(http.MethodGet, "/api/v1/auth/me", nil, "X-Request-Id", "call of +91 "+d.phone())
	d.crew.post("driver/onboard/initiate", object{"phone": d.phone(), "name": "Call " + d.phone(), "licenseNumber": d.phone()})
	d.crew.post("assignments", object{"vehicleId": d.phone(), "driverId": d.phone(), "customerPhone": d.phone(), "pickup": place(12.9, 77.5, "A"), "drop": place(13, 80, "B")})
	d.crew.ask(http.MethodDelete, "/api/v1/profile/drivers/"+d.phone(), nil)
	d.driver.ask(http.MethodPut, "/api/v1/tracking/trip/"+d.phone()+"/status", object{"status": d.phone()})
	c.post("bookings/orders/"+d.phone()+"/cancel", object{"reason": "call " + d.phone()})
}

// trouble: messages that do not go out.
func (d *day) trouble() {
	aside := d.sms.path + ".aside"
	if err := os.Rename(d.sms.path, aside); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Mkdir(d.sms.path, 0o700); err != nil {
		d.t.Fatal(err)
	}
	d.stranger(d.t).post("auth/send-otp", asking(d.phone(), "customer")).refused(503)
	d.stranger(d.t).post("auth/send-otp", asking(d.phone(), "transporter")).refused(503)
	if err := os.Remove(d.sms.path); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(aside, d.sms.path); err != nil {
		d.t.Fatal(err)
	}
}

// administration acts and reads, and gives the whole audit log.
func (d *day) administration(ops *user) (audit string) {
	why := object{"reason": "he called from " + d.phone() + ", asks for an end"}
	ops.post("admin/users/"+d.customer.id+"/suspend", why).ok()
	ops.post("admin/users/"+d.phone()+"/suspend", why).refused(404)
	ops.post("admin/users/"+d.customer.id+"/logout-all", object{"reason": d.phone()})
	ops.ask(http.MethodPut, "/api/v1/admin/transporters/"+d.crew.id+"/kyc", object{"status": "VERIFIED", "reason": "seen; +91 " + d.phone()})
	ops.ask(http.MethodDelete, "/api/v1/admin/sessions/"+d.phone(), why)
	ops.get("admin/users?phone="+d.crew.phone, "X-Reason", "ticket 4711").ok()
	ops.get("admin/users?phone="+d.phone(), "X-Reason", "he called from "+d.phone())
	ops.get("admin/users/"+d.phone()+"/sessions", "X-Reason", "ticket 4711")
	ops.get("admin/audit?subject="+d.phone()+"&actor="+d.phone()+"&action="+d.phone(), "X-Reason", "ticket 4711").ok()
	for cursor := ""; ; {
		page := ops.get("admin/audit?limit=500&cursor="+cursor, "X-Reason", "ticket 4711").ok()
		audit += strings.ReplaceAll(page.body, "},{", "},\n{")
		var more struct {
			Cursor  string
			HasMore bool
		}
		if err := json.Unmarshal(page.content.Data, &more); err != nil {
			d.t.Fatal(err)
		}
		if cursor = more.Cursor; !more.HasMore {
			return audit
		}
	}
}
