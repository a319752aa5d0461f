package acceptance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"weelo/internal/client"
	"weelo/internal/telemetry/otlptest"
)

// TestSpanTrees receives what a real serve sends to a collector: one login from the request through the
// actor to the stores, and one step of a trip across two actors to its commit.
func TestSpanTrees(t *testing.T) {
	t.Parallel()
	collector := otlptest.Start(t)
	s := onServe(t, collector.Env()...)

	customer := s.login(t, s.cast.customerPhone, "customer")
	login := traceOf(t, collector, "POST /api/v1/auth/verify-otp", "redis ")
	below(t, login, "POST /api/v1/auth/verify-otp", "otp SubmitCode")
	below(t, login, "otp SubmitCode", "redis ") // the attempt is counted in Redis
	below(t, login, "otp SubmitCode", "INSERT") // the session's family is a row
	send := traceOf(t, collector, "POST /api/v1/auth/send-otp", "sms send")
	below(t, send, "otp SendCode", "sms send")

	transporter, driver := s.login(t, s.cast.transporterPhone, "transporter"), s.loginDriver(t)
	s.connect(t, driver, "phone", nil)
	s.connect(t, customer, "phone", nil)
	tripID, err := s.api(transporter).Assign(t.Context(), client.Assignment{
		VehicleID: s.cast.vehicleID, DriverID: s.cast.driverID, CustomerPhone: s.cast.customerPhone,
		Pickup: client.Place{Latitude: 12.9716, Longitude: 77.5946, Address: "Bengaluru"}, Drop: client.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Chennai"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.api(driver).Accept(t.Context(), tripID); err != nil {
		t.Fatal(err)
	}
	const accept = "PATCH /api/v1/assignments/{id}/accept"
	step := traceOf(t, collector, accept, "driver ")
	below(t, step, accept, "trip Accept")
	below(t, step, "trip Accept", "commit")           // the transition
	below(t, step, "trip Accept", "driver TripTaken") // the second actor
	// The flush that carried it is a trace of its own, to which the transition's commit is linked.
	commit := find(step, "commit")
	all := collector.Wait(t, 20*time.Second, "the flush", func(all []otlptest.Span) bool {
		return len(commit.Links) == 1 && slices.ContainsFunc(all, func(s otlptest.Span) bool { return s.ID == commit.Links[0] })
	})
	for _, span := range all {
		for k, v := range span.Attributes {
			if strings.Contains(v, s.cast.customerPhone) || strings.Contains(v, s.cast.transporterPhone) {
				t.Errorf("the span %s shows a phone in %s", span.Name, k)
			}
		}
		if span.Service != "weelo" {
			t.Errorf("service %q", span.Service)
		}
	}
}

// traceOf waits for a trace that has a root of that name and a span whose name begins with also.
func traceOf(t *testing.T, r *otlptest.Receiver, root, also string) []otlptest.Span {
	t.Helper()
	var found []otlptest.Span
	r.Wait(t, 20*time.Second, root+" with "+also, func(all []otlptest.Span) bool {
		for _, s := range all {
			if s.Name != root {
				continue
			}
			tree := otlptest.InTrace(all, s.Trace)
			if slices.ContainsFunc(tree, func(s otlptest.Span) bool { return strings.HasPrefix(s.Name, also) }) {
				found = tree
				return true
			}
		}
		return false
	})
	return found
}

func find(spans []otlptest.Span, name string) otlptest.Span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return otlptest.Span{}
}

// below asserts that a span whose name begins with name hangs below one called ancestor.
func below(t *testing.T, spans []otlptest.Span, ancestor, name string) {
	t.Helper()
	byID := map[string]otlptest.Span{}
	for _, s := range spans {
		byID[s.ID] = s
	}
	for _, s := range spans {
		if !strings.HasPrefix(s.Name, name) {
			continue
		}
		for p, ok := byID[s.Parent]; ok; p, ok = byID[p.Parent] {
			if p.Name == ancestor {
				return
			}
		}
	}
	t.Errorf("no %q below %q in\n%s", name, ancestor, otlptest.Tree(spans))
}
