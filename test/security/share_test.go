package security

import (
	"net/http"
	"strings"
	"testing"
)

// TestShare: a link that shows one trip to whoever has it.
func TestShare(t *testing.T) {
	t.Parallel()
	onBoth(t, []check{{"P29_ALinkShowsOneTrip", aLinkShowsOneTrip}})
}

func aLinkShowsOneTrip(t *testing.T, h *house) {
	mine, other := h.journey(t), h.journey(t)
	link := mine.customer.post("trips/"+mine.trip+"/share", nil).ok()
	mine.customer.post("trips/"+other.trip+"/share", nil).refused(404)
	anybody := h.stranger(t)
	in := anybody.post("share/exchange", object{"token": link.text("token")}).ok()
	if in.text("tripId") != mine.trip {
		t.Errorf("another trip: %s", in.body)
	}
	viewer := anybody.with(in.text("accessToken"))
	for _, path := range []string{"auth/me", "tracking/" + other.trip, "profile"} {
		if a := viewer.get(path); a.status < 400 || a.status > 404 {
			t.Errorf("GET %s with a share token: %d %s", path, a.status, a.body)
		}
	}
	for method, path := range map[string]string{http.MethodPost: "/api/v1/tracking/batch", http.MethodPut: "/api/v1/tracking/trip/" + mine.trip + "/status"} {
		if a := viewer.ask(method, path, object{"status": "completed"}); a.status != 403 && a.status != 401 {
			t.Errorf("%s %s with a share token: %d %s", method, path, a.status, a.body)
		}
	}
	s := viewer.connect()
	s.send(object{"t": "watch", "id": "w1", "trip": other.trip})
	s.read("error")
	s.send(object{"t": "watch", "id": "w2", "trip": mine.trip})
	s.read("trip")
	pageIsStrict(t, anybody.ask(http.MethodGet, "/t/", nil))
	if !strings.Contains(link.text("url"), "/t/#") {
		t.Errorf("the secret is not behind the #: %s", link.text("url"))
	}
	mine.customer.ask(http.MethodDelete, "/api/v1/trips/"+mine.trip+"/share/"+link.text("shareId"), nil).ok()
	anybody.post("share/exchange", object{"token": link.text("token")}).refused(404)
}
