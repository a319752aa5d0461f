package rest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"weelo/internal/fleet"
	"weelo/internal/limit"
	"weelo/store/memory"
	"weelo/transport/rest/resttest"
)

// TestBadOrdersChangeNothing is the table of what may be wrong with a request for trucks.
func TestBadOrdersChangeNothing(t *testing.T) {
	t.Parallel()
	onBothStores(t, badOrdersChangeNothing)
}

func badOrdersChangeNothing(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	good := orderJSON(2)
	with := func(pairs ...string) string {
		changed := strings.NewReplacer(pairs...).Replace(good)
		if changed == good {
			t.Fatalf("%v changes nothing", pairs)
		}
		return changed
	}
	route := func(points string) string { return strings.Replace(good, "{", `{"routePoints":[`+points+`],`, 1) }
	const pickup, drop = `{"type":"PICKUP","latitude":12.9716,"longitude":77.5946,"address":"Yard A"}`, `{"type":"DROP","latitude":12.2958,"longitude":76.6394,"address":"Dock B"}`
	const needs = `"vehicleRequirements":[{"vehicleType":"open","vehicleSubtype":"17 Feet","quantity":2,"pricePerTruck":9000}]`
	before := y.dispatched()
	for name, body := range map[string]string{
		"pickup in the sea":      with("12.9716", "6.4", "77.5946", "80.1"),
		"pickup in London":       with("12.9716", "51.5", "77.5946", "-0.12"),
		"drop in Lhasa":          with("12.2958", "37.1"),
		"0,0":                    with("12.9716", "0", "77.5946", "0"),
		"latitude 91":            with("12.9716", "91"),
		"latitude a string":      with("12.9716", `"12.9716"`),
		"400 m away":             with("12.2958", "12.9750", "76.6394", "77.5946"),
		"no latitude":            with(`"latitude":12.9716,`, ""),
		"two pickups":            with(`"address":"Yard A"`, `"address":"Yard A","coordinates":{"latitude":13.9,"longitude":77.5946}`),
		"no address":             with(`"address":"Yard A",`, ""),
		"an empty address":       with("Yard A", ""),
		"a blank address":        with("Yard A", "   "),
		"a long address":         with("Yard A", strings.Repeat("a", 501)),
		"no pickup":              with(`"pickup"`, `"pickUpPlace"`),
		"no distance":            with(`"distanceKm":145,`, ""),
		"distance 0":             with(`"distanceKm":145`, `"distanceKm":0`),
		"distance 5001":          with(`"distanceKm":145`, `"distanceKm":5001`),
		"distance a word":        with(`"distanceKm":145`, `"distanceKm":"far"`),
		"no trucks":              with(needs, `"vehicleRequirements":[]`),
		"nothing asked for":      with("vehicleRequirements", "wishes"),
		"0 trucks":               with(`"quantity":2`, `"quantity":0`),
		"21 trucks":              with(`"quantity":2`, `"quantity":21`),
		"-1 trucks":              with(`"quantity":2`, `"quantity":-1`),
		"one and a half trucks":  with(`"quantity":2`, `"quantity":1.5`),
		"60 trucks in all":       with(needs, `"vehicleRequirements":[`+strings.Repeat(`{"vehicleType":"open","vehicleSubtype":"17 Feet","quantity":20,"pricePerTruck":9000},`, 2)+`{"vehicleType":"open","vehicleSubtype":"19 Feet","quantity":20,"pricePerTruck":9000}]`),
		"51 kinds":               with(needs, `"vehicleRequirements":[`+strings.Repeat(`{"vehicleType":"open","vehicleSubtype":"17 Feet","quantity":1,"pricePerTruck":9000},`, 50)+`{"vehicleType":"open","vehicleSubtype":"19 Feet","quantity":1,"pricePerTruck":9000}]`),
		"a rocket":               with(`"vehicleType":"open"`, `"vehicleType":"rocket"`),
		"no type":                with(`"vehicleType":"open",`, ""),
		"a short subtype":        with("17 Feet", "1"),
		"under the floor":        with(`"pricePerTruck":9000`, `"pricePerTruck":999`),
		"for nothing":            with(`"pricePerTruck":9000`, `"pricePerTruck":0`),
		"for more than all":      with(`"pricePerTruck":9000`, `"pricePerTruck":1000001`),
		"both names of trucks":   with(needs, needs+`,"trucks":[{"vehicleType":"open","vehicleSubtype":"17 Feet","quantity":2,"pricePerTruck":9000}]`),
		"a negative weight":      with(`"cargoWeightKg":7000`, `"cargoWeightKg":-1`),
		"scheduled for tea":      with(`"cargoWeightKg":7000`, `"scheduledAt":"at tea"`),
		"scheduled yesterday":    with(`"cargoWeightKg":7000`, `"scheduledAt":"`+time.Now().Add(-24*time.Hour).UTC().Format(time.RFC3339)+`"`),
		"scheduled in two years": with(`"cargoWeightKg":7000`, `"scheduledAt":"`+time.Now().Add(2*365*24*time.Hour).UTC().Format(time.RFC3339)+`"`),
		"a route of one point":   route(pickup),
		"a route of five":        route(pickup + strings.Repeat(`,{"type":"STOP","latitude":12.5,"longitude":77,"address":"Stop"}`, 3) + "," + drop),
		"a route backwards":      route(drop + "," + pickup),
		"a route of stops":       route(strings.ReplaceAll(pickup, "PICKUP", "STOP") + "," + drop),
		"a route of pits":        route(strings.ReplaceAll(pickup, "PICKUP", "PIT") + "," + drop),
		"a route elsewhere":      route(strings.ReplaceAll(pickup, "12.9716", "13.9716") + "," + drop),
		"a key twice":            strings.Replace(good, "{", `{"distanceKm":145,`, 1),
		"a key in another case":  with("distanceKm", "distancekm"),
		"more after the end":     good + "{}",
		"not JSON":               "trucks=2",
	} {
		for _, path := range []string{"/api/v1/bookings/orders", "/api/v1/orders"} {
			if a := keyed(y.asCustomer()).Call("POST", path, body); a.Status != 400 || !strings.Contains(string(a.Raw), `"VALIDATION_ERROR"`) {
				t.Errorf("%s at %s: %d %s", name, path, a.Status, a.Raw)
			}
		}
	}
	for _, key := range []string{"", "key-1"} {
		y.asCustomer().With("X-Idempotency-Key", key).Call("POST", "/api/v1/orders", good).Refused(400, "MISSING_IDEMPOTENCY_KEY")
	}
	keyed(y.asOwner()).Call("POST", "/api/v1/bookings/orders", good).Refused(403, "FORBIDDEN")
	keyed(y.Client).Call("POST", "/api/v1/bookings/orders", good).Refused(401, "UNAUTHORIZED")
	keyed(y.asCustomer()).Call("POST", "/api/v1/bookings/orders", with("Yard A", strings.Repeat("a", 70<<10))).Refused(413, "PAYLOAD_TOO_LARGE")
	if after := y.dispatched(); after != before {
		t.Errorf("bad orders changed %q to %q", before, after)
	}
	// What is only unusual is served: a number with a fraction, nulls, a route with a stop, no key.
	unusual := route(pickup + `,{"type":"STOP","latitude":12.5,"longitude":77,"address":"Stop"},` + drop)
	unusual = strings.NewReplacer(`"distanceKm":145`, `"distanceKm":145.4`, "9000", "8999.6", `"cargoWeightKg":7000`, `"cargoWeightKg":null,"scheduledAt":null`, `"city":"Bengaluru"`, `"city":null`).Replace(unusual)
	a := y.asCustomer().Call("POST", "/api/v1/bookings/orders", unusual).Want(201)
	for _, part := range []string{`"distanceKm":145,`, `"totalAmount":18000`, `"type":"STOP"`, `"weight":null`, `"scheduledAt":null`} {
		if !strings.Contains(string(a.Raw), part) {
			t.Errorf("%s is not in %s", part, a.Raw)
		}
	}
}

// TestBadHoldsChangeNothing is the same of holds, confirmations, cancellations and what is asked of
// offers.
func TestBadHoldsChangeNothing(t *testing.T) {
	t.Parallel()
	onBothStores(t, badHoldsChangeNothing)
}

func badHoldsChangeNothing(y *yard) {
	t := y.t
	t.Helper()
	y.open()
	id := y.order(2).Order.ID
	held := y.hold(id, 1)
	owner, customer := keyed(y.asOwner()), y.asCustomer()
	good, change := holdJSON(id, 1), `{"holdId":"`+held.HoldID+`"}`
	pick := confirmJSON(held.HoldID, pick{y.trucks[0], y.drivers[0]})
	const hold, confirm, release, extend = "/api/v1/truck-hold/hold", "/api/v1/truck-hold/confirm-with-assignments", "/api/v1/truck-hold/release", "/api/v1/truck-hold/flex-hold/extend"
	before := y.dispatched()
	const invalid = "VALIDATION_ERROR"
	for name, c := range map[string]struct {
		answer resttest.Answer
		status int
		code   string
	}{
		"hold 0 trucks":                {owner.Call("POST", hold, holdJSON(id, 0)), 400, invalid},
		"hold 51 trucks":               {owner.Call("POST", hold, holdJSON(id, 51)), 400, invalid},
		"hold tankers":                 {keyed(y.asOwner()).Call("POST", hold, strings.Replace(good, `"open"`, `"tanker"`, 1)), 400, invalid},
		"hold without an order":        {owner.Call("POST", hold, strings.Replace(good, id, "", 1)), 400, invalid},
		"hold of an unknown order":     {owner.Call("POST", hold, strings.Replace(good, id, uuid.NewString(), 1)), 404, "ORDER_NOT_FOUND"},
		"hold more than is left":       {keyed(y.asRival()).Call("POST", hold, holdJSON(id, 2)), 409, "NOT_ENOUGH_AVAILABLE"},
		"a customer holds":             {keyed(customer).Call("POST", hold, good), 403, "FORBIDDEN"},
		"a driver holds":               {y.asDriver(0).Call("POST", hold, good), 403, "FORBIDDEN"},
		"confirm nothing":              {owner.Call("POST", confirm, `{"holdId":"`+held.HoldID+`","assignments":[]}`), 400, invalid},
		"confirm no vehicle":           {owner.Call("POST", confirm, strings.Replace(pick, string(y.trucks[0]), "", 1)), 400, invalid},
		"confirm a hold of nobody":     {keyed(y.asOwner()).Call("POST", confirm, strings.Replace(pick, held.HoldID, "HOLD_ZZZZZZZZ", 1)), 404, "HOLD_NOT_FOUND"},
		"confirm the hold of a rival":  {keyed(y.asRival()).Call("POST", confirm, pick), 404, "HOLD_NOT_FOUND"},
		"confirm without picks":        {y.asOwner().Call("POST", "/api/v1/truck-hold/confirm", change), 410, "DEPRECATED"},
		"release nothing":              {owner.Call("POST", release, `{}`), 400, invalid},
		"release the hold of nobody":   {keyed(y.asOwner()).Call("POST", release, `{"holdId":"HOLD_ZZZZZZZZ"}`), 404, "HOLD_NOT_FOUND"},
		"extend the hold of a rival":   {keyed(y.asRival()).Call("POST", extend, change), 404, "HOLD_NOT_FOUND"},
		"no order of my active hold":   {y.asOwner().Call("GET", "/api/v1/truck-hold/my-active?vehicleType=open", nil), 400, invalid},
		"a long reason":                {keyed(customer).Call("POST", "/api/v1/orders/"+id+"/cancel", `{"reason":"`+strings.Repeat("a", 501)+`"}`), 400, invalid},
		"a transporter cancels":        {keyed(y.asOwner()).Call("POST", "/api/v1/orders/"+id+"/cancel", `{}`), 403, "FORBIDDEN"},
		"long notes":                   {keyed(customer).Call("POST", "/api/v1/orders/"+id+"/cancel/dispute", `{"notes":"`+strings.Repeat("a", 2001)+`"}`), 400, invalid},
		"a dispute too early":          {keyed(customer).Call("POST", "/api/v1/orders/"+id+"/cancel/dispute", `{}`), 400, "DISPUTE_CREATE_FAILED"},
		"a customer reads the feed":    {customer.Call("GET", "/api/v1/bookings/requests/active", nil), 403, "FORBIDDEN"},
		"a made-up broadcast":          {y.asOwner().Call("POST", "/api/v1/broadcasts/create", `{}`), 410, "DEPRECATED"},
		"a negative cursor":            {y.asOwner().Call("GET", "/api/v1/transporter/dispatch/replay?cursor=-1", nil), 400, invalid},
		"a limit of 101":               {y.asOwner().Call("GET", "/api/v1/transporter/dispatch/replay?limit=101", nil), 400, invalid},
		"page 0":                       {customer.Call("GET", "/api/v1/orders?page=0", nil), 400, invalid},
		"another part of a booking":    {customer.Call("GET", "/api/v1/bookings/"+id+"/wheels", nil), 404, "NOT_FOUND"},
		"a part of an unknown booking": {customer.Call("GET", "/api/v1/bookings/"+uuid.NewString()+"/trucks", nil), 404, "ORDER_NOT_FOUND"},
	} {
		if c.answer.Status != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, c.answer.Status, c.status, c.answer.Raw)
			continue
		}
		c.answer.Refused(c.status, c.code)
	}
	if after := y.dispatched(); after != before {
		t.Errorf("bad holds changed %q to %q", before, after)
	}
}

// patchy is a store of limits that may be away.
type patchy struct {
	limit.Limiter
	broken bool
}

func (p *patchy) Take(ctx context.Context, l limit.Limit, key string) (time.Duration, error) {
	if p.broken {
		return 0, errors.New("away")
	}
	return p.Limiter.Take(ctx, l, key)
}

// TestTooManyRequests: each limit counts one user, blocks for its own time, and lets everybody through
// when it cannot count.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	now := time.Now()
	limits := &patchy{Limiter: memory.NewRates(func() time.Time { return now })}
	y := openYard(t, dev(t), func(y *yard) { y.orderLimits = limits })
	y.open()
	for name, c := range map[string]struct {
		client       *resttest.Client
		method, path string
		body         any
		max, status  int
		code, wait   string
	}{
		"orders":        {y.asCustomer(), "POST", "/api/v1/bookings/orders", `{"distanceKm":1,"pickup":{"latitude":51.5,"longitude":0,"address":"London"},"drop":{"latitude":48.8,"longitude":2.3,"address":"Paris"},"trucks":[{"vehicleType":"open","vehicleSubtype":"17 Feet","quantity":1,"pricePerTruck":9000}]}`, 5, 400, "VALIDATION_ERROR", "12"},
		"holds":         {y.asOwner(), "POST", "/api/v1/truck-hold/hold", holdJSON(uuid.NewString(), 1), 30, 404, "ORDER_NOT_FOUND", "180"},
		"confirmations": {y.asOwner(), "POST", "/api/v1/truck-hold/confirm-with-assignments", confirmJSON("HOLD_ZZZZZZZZ", pick{"v", "d"}), 20, 404, "HOLD_NOT_FOUND", "300"},
		"explanations":  {y.asOwner(), "GET", "/api/v1/orders/" + uuid.NewString() + "/explain", nil, 30, 404, "ORDER_NOT_FOUND", "2"},
		"answers":       {y.asDriver(0), "PATCH", "/api/v1/assignments/" + uuid.NewString() + "/accept", nil, 10, 404, "ASSIGNMENT_NOT_FOUND", "60"},
	} {
		for range c.max {
			c.client.Call(c.method, c.path, c.body).Refused(c.status, c.code)
		}
		for range 2 {
			refused := c.client.Call(c.method, c.path, c.body).Refused(429, "RATE_LIMIT_EXCEEDED")
			if refused.Header.Get("Retry-After") != c.wait {
				t.Errorf("%s: Retry-After %s, want %s", name, refused.Header.Get("Retry-After"), c.wait)
			}
		}
	}
	y.asRival().Call("POST", "/api/v1/truck-hold/hold", holdJSON(uuid.NewString(), 1)).Refused(404, "ORDER_NOT_FOUND")
	// A second look within three seconds is empty, not refused.
	elsewhere := y.enrol(fleet.Customer, "+919000000002", "Nisha", "")
	keyed(y.as(elsewhere, fleet.Customer)).Call("POST", "/api/v1/bookings/orders", orderJSON(1)).Want(201)
	for _, want := range []int{1, 0} {
		var replay struct{ Events []struct{ OrderID string } }
		y.asOwner().Call("GET", "/api/v1/transporter/dispatch/replay", nil).Want(200).Data(&replay)
		if len(replay.Events) != want {
			t.Errorf("replayed %+v, want %d", replay, want)
		}
	}
	y.asDriver(0).Call("PATCH", "/api/v1/assignments/"+uuid.NewString()+"/decline", `{}`).Refused(429, "RATE_LIMIT_EXCEEDED")
	limits.broken = true
	y.asOwner().Call("POST", "/api/v1/truck-hold/hold", holdJSON(uuid.NewString(), 1)).Refused(404, "ORDER_NOT_FOUND")
}
