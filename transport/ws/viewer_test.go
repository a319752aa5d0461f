package ws_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/token"
	"weelo/internal/track"
)

// follow connects a viewer of a share link.
func (s *server) follow(t *testing.T, device string) *peer {
	t.Helper()
	secret := "viewer-" + device
	s.mu.Lock()
	s.tokens[secret] = token.Identity{
		UserID: token.ViewersOf("link-1"), Role: token.Viewer, SessionID: "link-1", Trip: "trip-1", Device: device, ExpiresAt: time.Now().Add(time.Minute),
	}
	s.mu.Unlock()
	p := s.open(t)
	p.send(`{"t":"hello","token":"` + secret + `","resume":{"stream":"s1","seq":0}}`)
	if w := p.readJSON("welcome"); w["mode"] != "live" || w["role"] != "share" {
		t.Fatalf("welcome: %v", w)
	}
	return p
}

var aPhone = regexp.MustCompile(`[^0-9][6-9][0-9]{9}[^0-9]|\*\*\*`)

// TestAViewerSeesLittle: of the trip and of each position only what a link shows, and nothing else.
func TestAViewerSeesLittle(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := s.follow(t, "one")
	p.send(`{"t":"watch","id":"w","trip":"trip-1"}`)
	first := p.read()
	s.hub.Position(protocol.Position{TripID: "trip-1", Driver: "D1", Transporter: "T1", Customer: "C1", Fix: track.Fix{
		TS: time.Now().UnixMilli(), Lat: 12.971649, Lng: 77.594583, Accuracy: 7, Speed: 12.5, HasSpeed: true, Bearing: 90, HasBearing: true,
	}})
	position := p.read()
	changed := view("trip-1")
	changed.Version, changed.Driver.Name, changed.Driver.Phone = 4, "Ravi Kumar", "9876543210"
	s.hub.TripChanged(changed)
	second := p.read()
	for _, trip := range []string{first, second} {
		for _, want := range []string{`"t":"trip"`, `"order":null`, `"driver":{"id":"","name":"Ravi","phone":null}`, `"vehicle":{"id":"","number":"1234"`, `"address":""`, `"city":"Bengaluru"`, `"lat":12.970000,"lng":77.590000,`} {
			if !strings.Contains(trip, want) {
				t.Errorf("%s is not in %s", want, trip)
			}
		}
	}
	if !strings.Contains(position, `"lat":12.971600,"lng":77.594600`) || strings.Contains(position, "12.97164") || strings.Contains(position, "12.5") {
		t.Errorf("position: %s", position)
	}
	for _, frame := range []string{first, position, second} {
		for _, secret := range []string{"Kumar", "KA01", "MG Road", "Anna Salai", "C1", "D1", "T1", "V1", "o1"} {
			if strings.Contains(frame, `"`+secret) || strings.Contains(frame, secret+" ") {
				t.Errorf("%s is in %s", secret, frame)
			}
		}
		if aPhone.MatchString(frame) {
			t.Errorf("a phone is in %s", frame)
		}
	}
}

// TestAViewerChangesNothing: whatever else he sends is refused, and he stays.
func TestAViewerChangesNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := s.follow(t, "one")
	for _, frame := range []string{
		`{"t":"fix","n":1,"ts":1700000000000,"lat":12.9,"lng":77.5}`,
		`{"t":"replay","from":1}`,
		`{"t":"seen","offer":"offer-1"}`,
		`{"t":"watch","id":"f","fleet":true}`,
		`{"t":"watch","id":"a","all":true}`,
	} {
		p.send(frame)
		if e := p.readJSON("error"); e["code"] != "FORBIDDEN" {
			t.Errorf("%s: %v", frame, e)
		}
	}
	if s.changed() {
		t.Error("something changed")
	}
	p.send(`{"t":"ping"}`)
	p.readJSON("pong")
	s.hub.Disconnect(token.ViewersOf("link-1"), "link-1", 4401, "the link is over")
	if code, _ := p.end(); code != 4401 {
		t.Errorf("closed with %d", code)
	}
}
