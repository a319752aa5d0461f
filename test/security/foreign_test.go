package security

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestForeign walks over every call that the server describes and every name that a socket can ask about, and asks
// in each role about what is others': it answers as for what is not there. A call without a row fails the test.
func TestForeign(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{{"WhatIsOthersIsNotThere", whatIsOthersIsNotThere}, {"OnSocketsEither", othersOnSockets}})
}

// ids name what somebody has; the keys are those of the addresses of calls.
type ids map[string]string

// unknown are ids of the same form that name nothing.
func (own ids) unknown() ids {
	none := ids{}
	for name := range own {
		none[name] = nobody
	}
	return none
}

// row says what a call needs, so that it is understood, besides the ids in its address. Each variant is asked for.
type row struct {
	variants []variant
	own      string // why there is nothing of anybody else's in it; it is only read then, if it is a GET
}

type variant struct {
	body  func(of ids, me *journey) object // nil: none
	query string                           // with %s for the order
	mine  []string                         // names of ids in the address that are the asker's own
	empty bool                             // 200 with nothing in it is an answer too
}

func plain(body object) row {
	return row{variants: []variant{{body: func(ids, *journey) object { return body }}}}
}

func named(body func(of ids, me *journey) object) row { return row{variants: []variant{{body: body}}} }

var bare = row{variants: []variant{{}}}

func sample() object {
	return object{"latitude": 12.5, "longitude": 77.5, "speed": 3, "bearing": 90, "accuracy": 8}
}

func assigning(vehicle, driver string) object {
	return object{"vehicleId": vehicle, "driverId": driver, "pickup": place(12.9716, 77.5946, "MG Road, Bengaluru"), "drop": place(13.0827, 80.2707, "Chennai")}
}

// rows has a row for every call that is not public and not under admin/. The "-alias" of one is that one.
func rows() map[string]row {
	reason := plain(object{"reason": "no"})
	return map[string]row{
		"assignment": bare, "accept-assignment": bare, "decline-assignment": reason, "break-down": plain(object{"note": "engine"}),
		"assign-trip": {variants: []variant{
			{body: func(of ids, me *journey) object { return assigning(of["vehicleId"], me.crew.driverID) }},
			{body: func(of ids, me *journey) object { return assigning(me.crew.vehicleID, of["driverId"]) }},
		}},
		"trip": bare, "track-trip": bare, "trip-history": bare, "change-trip-status": plain(object{"status": "at_pickup"}),
		"record-batch": named(func(of ids, _ *journey) object {
			p := sample()
			p["timestamp"] = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
			return object{"tripId": of["tripId"], "points": []object{p}}
		}),
		"record-position": named(func(of ids, _ *journey) object { p := sample(); p["tripId"] = of["tripId"]; return p }),
		"share-trip":      bare, "trip-shares": bare, "revoke-share": {variants: []variant{{}, {mine: []string{"tripId"}}}},

		"order": bare, "order-status": bare, "order-route": bare, "explain-order": bare, "order-progress": bare, "order-availability": bare,
		"booking": bare, "booking-trucks": bare, "track-order": bare, "order-eta": bare,
		"cancel-order": reason, "delete-order": reason, "cancel-booking": reason, "cancel-preview": bare,
		"dispute-order": plain(object{"notes": "It was late."}), "continue-partial": bare, "search-again": bare,
		"broadcast": bare, "broadcast-snapshot": bare, "decline-broadcast": reason,
		"hold-trucks": named(func(of ids, _ *journey) object {
			return object{"orderId": of["orderId"], "vehicleType": "open", "vehicleSubtype": "17 Feet", "quantity": 1}
		}),
		"confirm-hold": named(func(of ids, me *journey) object {
			return object{"holdId": of["holdId"], "assignments": []object{{"vehicleId": me.crew.vehicleID, "driverId": me.crew.driverID}}}
		}),
		"extend-hold":  named(func(of ids, _ *journey) object { return object{"holdId": of["holdId"]} }),
		"release-hold": named(func(of ids, _ *journey) object { return object{"holdId": of["holdId"]} }),
		"active-hold":  {variants: []variant{{query: "?orderId=%s&vehicleType=open&vehicleSubtype=17+Feet", empty: true}}},

		"vehicle": bare, "delete-vehicle": bare, "dismiss-driver": bare,
		"transporter-heartbeat": named(func(of ids, _ *journey) object {
			return object{"latitude": 12.5, "longitude": 77.5, "vehicleId": of["vehicleId"]}
		}),

		"me": {own: "himself"}, "profile": {own: "himself"}, "logout": {own: "his session"}, "logout-all": {own: "his sessions"}, "leave-fleet": {own: "his fleet"},
		"driver-logout": {own: "his session"}, "ws-ticket": {own: "his session"},
		"register-push-token": {own: "his phone"}, "unregister-push-token": {own: "of his phones only"},
		"assignments-of-driver": {own: "his trips"}, "active-trip": {own: "his trip"},
		"orders": {own: "his orders"}, "bookings": {own: "his orders"}, "active-order": {own: "his order"},
		"create-order": {own: "a new one"}, "create-booking": {own: "a new one"}, "create-broadcast": {own: "not served"}, "confirm-hold-bare": {own: "not served"},
		"offered-orders": {own: "what is offered to him"}, "active-broadcasts": {own: "what is offered to him"}, "replay-dispatch": {own: "what is offered to him"},
		"vehicles-of-fleet": {own: "his fleet"}, "drivers-of-fleet": {own: "his fleet"}, "track-fleet": {own: "his fleet"},
		"upsert-vehicle":      {own: "by its plate, which is taken or not: store/storetest.Vehicles"},
		"driver-availability": {own: "himself"}, "set-driver-availability": {own: "himself"},
		"transporter-availability": {own: "himself"}, "set-transporter-availability": {own: "himself"}, "transporter-offline": {own: "himself"},
		"invite-driver": {own: "a phone, whose owner consents"}, "invite-driver-again": {own: "his invitation"}, "onboard-driver": {own: "his invitation"},
	}
}

// public are the calls that need no session.
var public = []string{"refresh", "send-otp", "verify-otp", "driver-send-otp", "driver-verify-otp", "estimate-price", "vehicle-pricing", "vehicle-types", "exchange-share"}

// call is one call as the server describes it.
type call struct{ method, path, name string }

// calls are all calls that the server describes, by name.
func (h *house) calls(t *testing.T) (all []call) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Security    []json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(h.stranger(t).ask(http.MethodGet, "/openapi.json", nil).body), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if open := len(op.Security) == 0; open != slices.Contains(public, op.OperationID) {
				t.Errorf("%s needs no session: %v", op.OperationID, open)
			}
			all = append(all, call{strings.ToUpper(method), path, op.OperationID})
		}
	}
	slices.SortFunc(all, func(a, b call) int { return strings.Compare(a.name, b.name) })
	if len(all) < 100 {
		t.Fatalf("only %d calls", len(all))
	}
	return all
}

// by makes the call of somebody who names some ids.
func (c call) by(who *caller, v variant, me *journey, of, mine ids) answer {
	who.t.Helper()
	path := c.path
	for name, id := range of {
		if slices.Contains(v.mine, name) {
			id = mine[name]
		}
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	if strings.Contains(path, "{") {
		who.t.Fatalf("%s: no id for %s", c.name, path)
	}
	if v.query != "" {
		path += fmt.Sprintf(v.query, of["orderId"])
	}
	var body any
	if v.body != nil {
		body = v.body(of, me)
	}
	var a answer
	eventually(who.t, 90*time.Second, c.name+" within its limits", func() bool {
		if a.status == http.StatusTooManyRequests {
			pass(who.t, time.Duration(max(1, a.retryAfter()))*time.Second)
		}
		a = who.ask(c.method, path, body)
		return a.status != http.StatusTooManyRequests
	})
	return a
}

// household is a trip under way, with a link to it, and an order of others who hold a truck of it.
type household struct {
	*journey
	orders *user
	ids    ids
	viewer *caller // of the link
}

// goesOnline waits until a transporter is where orders are sent to.
func (c *crew) goesOnline(t *testing.T) {
	t.Helper()
	c.ask(http.MethodPut, "/api/v1/transporter/availability", object{"isAvailable": true}).ok()
	eventually(t, wait, "the transporter online", func() bool {
		return strings.Contains(c.post("transporter/heartbeat", object{"latitude": 12.9720, "longitude": 77.5950, "isOnTrip": false}).ok().body, "open_17ft")
	})
}

// orders asks for trucks, as a customer, near where transporters go online.
func (u *user) orders(trucks int) (order string) {
	u.t.Helper()
	return u.post("bookings/orders", object{
		"distanceKm": 145, "goodsType": "Tiles", "pickup": place(12.9716, 77.5946, "Yard A"), "drop": place(12.2958, 76.6394, "Dock B, Mysuru"),
		"vehicleRequirements": []object{{"vehicleType": "open", "vehicleSubtype": "17 Feet", "quantity": trucks, "pricePerTruck": 9000}},
	}).ok().text("order", "id")
}

func (h *house) household(t *testing.T) *household {
	t.Helper()
	k := &household{journey: h.journey(t), orders: h.customer(t)}
	link := k.customer.post("trips/"+k.trip+"/share", nil).ok()
	k.viewer, _ = h.stranger(t).follows(link.text("token"))
	holder := h.crew(t)
	holder.goesOnline(t)
	order := k.orders.orders(2)
	hold := holder.post("truck-hold/hold", object{"orderId": order, "vehicleType": "open", "vehicleSubtype": "17 Feet", "quantity": 1}).ok().text("holdId")
	k.ids = ids{
		"id": k.trip, "tripId": k.trip, "shareId": link.text("shareId"), "orderId": order, "bookingId": order, "holdId": hold,
		"vehicleId": k.crew.vehicleID, "driverId": k.crew.driverID, "userId": k.customer.id, "disputeId": order, "commandId": k.trip, "sessionId": k.trip,
	}
	return k
}

// names tells which of the ids, or of the people's phones, a text has.
func (k *household) names(text string) (found []string) {
	for _, secret := range append(slices.Collect(maps.Values(k.ids)), k.customer.phone, k.crew.id, k.crew.phone, k.crew.driverPhone, k.crew.plate, k.orders.id, k.orders.phone) {
		if strings.Contains(text, secret) {
			found = append(found, secret)
		}
	}
	return found
}

func whatIsOthersIsNotThere(t *testing.T, h *house) {
	theirs, mine := h.household(t), h.household(t)
	roles := map[string]*caller{"customer": mine.customer.caller, "transporter": mine.crew.caller, "driver": mine.driver.caller}
	if found := theirs.names(theirs.customer.get("trips/"+theirs.trip).ok().body + theirs.orders.get("bookings/orders/"+theirs.ids["orderId"]).ok().body); len(found) < 3 {
		t.Fatalf("their own people are told of %v only", found)
	}
	table := rows()
	asked := map[string]int{}
	for _, c := range h.calls(t) {
		if slices.Contains(public, c.name) {
			continue
		}
		r, known := table[strings.TrimSuffix(c.name, "-alias")]
		if admin := strings.HasPrefix(c.path, "/api/v1/admin/"); admin {
			r, known = bare, true
		}
		if !known {
			t.Errorf("%s (%s %s) has no row", c.name, c.method, c.path)
			continue
		}
		asked[strings.TrimSuffix(c.name, "-alias")]++
		for _, v := range append(r.variants[:len(r.variants):len(r.variants)], variant{})[:max(1, len(r.variants))] {
			// Without a session, and with that of a link, nothing is told of anything.
			if a := c.by(h.stranger(t), v, mine.journey, theirs.ids, mine.ids); a.status != http.StatusUnauthorized {
				t.Errorf("%s without a session: %d %s", c.name, a.status, a.body)
			}
			if a := c.by(mine.viewer, v, mine.journey, theirs.ids, mine.ids); a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
				t.Errorf("%s by a viewer: %d %s", c.name, a.status, a.body)
			}
			for role, who := range roles {
				if r.own == "" {
					theirs.hides(t, c, v, role, who, mine)
				} else if c.method == http.MethodGet {
					a := c.by(who, v, mine.journey, theirs.ids, mine.ids)
					if found := theirs.names(a.body); a.status >= 500 || found != nil {
						t.Errorf("%s (%s) by a %s names %v: %d %s", c.name, r.own, role, found, a.status, a.body)
					}
				}
			}
		}
	}
	for name := range table {
		if asked[name] == 0 {
			t.Errorf("there is a row for %s, and no such call", name)
		}
	}
	theirs.isAsItWas(t)
}

// hides asks about what is others' and about what is not there.
func (k *household) hides(t *testing.T, c call, v variant, role string, who *caller, mine *household) {
	t.Helper()
	a := c.by(who, v, mine.journey, k.ids, mine.ids)
	b := c.by(who, v, mine.journey, k.ids.unknown(), mine.ids)
	said := func(a answer) string {
		if a.content.Success {
			return fmt.Sprint(a.status, " ", strings.ReplaceAll(string(a.content.Data), k.ids["orderId"], ""))
		}
		return fmt.Sprint(a.status, " ", a.content.Error.Code, " ", a.content.Error.Message)
	}
	if found := k.names(a.body); found != nil || said(a) != said(b) {
		t.Errorf("%s by a %s names %v: of others' %d %s, of nothing %d %s", c.name, role, found, a.status, a.body, b.status, b.body)
	}
	refused := a.status == http.StatusNotFound || a.status == http.StatusForbidden
	switch {
	case refused, v.empty && a.status == http.StatusOK, c.name == "transporter-heartbeat" && a.status == http.StatusBadRequest:
	default:
		t.Errorf("%s by a %s: %d %s", c.name, role, a.status, a.body)
	}
}

// isAsItWas looks whether anything came of all that was asked.
func (k *household) isAsItWas(t *testing.T) {
	t.Helper()
	if status := k.driver.get("assignments/" + k.trip).ok().text("status"); status != "driver_accepted" {
		t.Errorf("the trip is %s", status)
	}
	if a := k.orders.get("bookings/orders/" + k.ids["orderId"] + "/status").ok(); !slices.Contains([]string{"active", "partially_filled", "broadcasting"}, a.text("status")) {
		t.Errorf("the order: %s", a.body)
	}
	k.crew.get("vehicles/" + k.ids["vehicleId"]).ok()
	if a := k.crew.get("driver/list").ok(); !strings.Contains(a.body, k.ids["driverId"]) {
		t.Errorf("the drivers: %s", a.body)
	}
	if a := k.customer.get("trips/" + k.trip + "/share").ok(); !strings.Contains(a.body, k.ids["shareId"]) {
		t.Errorf("the links: %s", a.body)
	}
	if a := k.customer.get("tracking/history/" + k.trip).ok(); strings.Contains(a.body, "12.5") {
		t.Errorf("the track: %s", a.body)
	}
}

// othersOnSockets asks about everything that a frame or event can name.
func othersOnSockets(t *testing.T, h *house) {
	theirs, mine := h.household(t), h.household(t)
	trip, order := theirs.ids["tripId"], theirs.ids["orderId"]
	for role, who := range map[string]*caller{"customer": mine.customer.caller, "transporter": mine.crew.caller, "driver": mine.driver.caller, "viewer": mine.viewer} {
		s := who.connect()
		said := func(frame object) string {
			s.send(frame)
			e := s.read("error")
			return fmt.Sprint(e["code"], " ", e["message"], " ", e["retryable"])
		}
		for i, pair := range [][2]object{
			{{"t": "watch", "id": "w1", "trip": trip}, {"t": "watch", "id": "w1", "trip": nobody}},
			{{"t": "watch", "id": "w1", "order": order}, {"t": "watch", "id": "w1", "order": nobody}},
		} {
			if a, b := said(pair[0]), said(pair[1]); a != b || !strings.HasPrefix(a, "NOT_FOUND ") {
				t.Errorf("%s, frame %d: of others' %q, of nothing %q", role, i, a, b)
			}
		}
		if role != "transporter" {
			if code := said(object{"t": "watch", "id": "w1", "fleet": true}); !strings.HasPrefix(code, "NOT_FOUND ") && !strings.HasPrefix(code, "FORBIDDEN ") {
				t.Errorf("%s watches a fleet: %s", role, code)
			}
		}
		if code := said(object{"t": "watch", "id": "w1", "all": true}); !strings.HasPrefix(code, "NOT_FOUND ") && !strings.HasPrefix(code, "FORBIDDEN ") {
			t.Errorf("%s watches all: %s", role, code)
		}
		f, g := fix(1, time.Now(), 12.5, 77.5), fix(1, time.Now(), 12.5, 77.5)
		f["trip"], g["trip"] = trip, nobody
		if a, b := said(f), said(g); a != b {
			t.Errorf("%s, a position: of others' %q, of nothing %q", role, a, b)
		}
		if role == "viewer" {
			continue // of links the native protocol only
		}
		app := who.on("app-" + role).app()
		for _, event := range []string{"join_trip", "join_order", "join_booking"} {
			var heard [2]object
			for i, id := range []string{trip, order} {
				app.emit(event, id)
				heard[i] = app.event("error")
			}
			app.emit(event, nobody)
			if e := app.event("error"); fmt.Sprint(heard[0]) != fmt.Sprint(e) || fmt.Sprint(heard[1]) != fmt.Sprint(e) || e["code"] != "NOT_FOUND" {
				t.Errorf("%s, %s: of others' %v, of nothing %v", role, event, heard, e)
			}
		}
	}
	theirs.isAsItWas(t)
}
