package door_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"weelo/transport/door"
)

func TestHostsAndPages(t *testing.T) {
	t.Parallel()
	lists := door.Lists{Hosts: []string{"api.weelo.example", "localhost"}, Origins: []string{"https://app.weelo.example"}}
	request := func(host string, origins ...string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ws/v1", nil)
		r.Host = host
		for _, o := range origins {
			r.Header.Add("Origin", o)
		}
		return r
	}
	for host, want := range map[string]bool{
		"api.weelo.example": true, "API.weelo.example": true, "api.weelo.example:443": true, "localhost:3000": true,
		"evil.example": false, "api.weelo.example.evil.example": false, "xapi.weelo.example": false, "": false, "127.0.0.1": false,
	} {
		if got := lists.Host(request(host)); got != want {
			t.Errorf("Host %q: %v", host, got)
		}
	}
	if !(door.Lists{}).Host(request("anything.example")) {
		t.Error("no list, and a host is refused")
	}
	for _, c := range []struct {
		origins []string
		want    bool
	}{
		{nil, true},
		{[]string{"https://app.weelo.example"}, true},
		{[]string{"http://app.weelo.example"}, false},
		{[]string{"https://app.weelo.example.evil.example"}, false},
		{[]string{"null"}, false},
		{[]string{""}, false},
		{[]string{"https://app.weelo.example", "https://evil.example"}, false},
		{[]string{"https://evil.example", "https://app.weelo.example"}, false},
	} {
		if got := lists.Page(request("localhost", c.origins...)); got != c.want {
			t.Errorf("Origin %q: %v", c.origins, got)
		}
	}
}

func TestSecretsInTheURL(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		"": false, "EIO=4&transport=websocket": false, "t=abc": false, "tokens=1": false,
		"token=": true, "EIO=4&Token=x": true, "access_token=x": true, "JWT=x": true, "ticket=x": true, "auth=x": true, "authorization=x": true, "accessToken=x": true,
		"refreshToken=x": true, "refresh_token=x": true, "id-token=x": true, "bearer=x": true, "auth_token=x": true,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := door.SecretIn(values); got != want {
			t.Errorf("?%s: %v", query, got)
		}
	}
}

// lobby is one whose clients say themselves where they come from.
func lobby(refused func()) (*door.Lobby, func(from string) (func(), bool)) {
	l := door.NewLobby(func(r *http.Request) netip.Addr {
		a, _ := netip.ParseAddr(r.Header.Get("From"))
		return a
	}, refused)
	return l, func(from string) (func(), bool) {
		r := httptest.NewRequest(http.MethodGet, "/ws/v1", nil)
		r.Header.Set("From", from)
		return l.Enter(r)
	}
}

func TestAnAddressHasSoManyPlaces(t *testing.T) {
	t.Parallel()
	refusals := 0
	l, enter := lobby(func() { refusals++ })
	var leaves []func()
	for range door.PerAddress {
		leave, ok := enter("203.0.113.7")
		if !ok {
			t.Fatal("refused too early")
		}
		leaves = append(leaves, leave)
	}
	if _, ok := enter("203.0.113.7"); ok {
		t.Error("one too many was let in")
	}
	if _, ok := enter("::ffff:203.0.113.7"); ok {
		t.Error("the same address in its other spelling was let in")
	}
	if leave, ok := enter("203.0.113.8"); !ok {
		t.Error("another address was refused")
	} else {
		leave()
	}
	leaves[0]()
	leaves[0]() // a second time gives nothing back
	leave, ok := enter("203.0.113.7")
	if !ok {
		t.Fatal("a place that came free was not given")
	}
	if _, ok := enter("203.0.113.7"); ok {
		t.Error("a place that was given back twice counts twice")
	}
	for _, leave := range append(leaves, leave) {
		leave()
	}
	if l.Waiting() != 0 || refusals != 3 {
		t.Errorf("%d addresses kept, %d refusals counted", l.Waiting(), refusals)
	}
}

func TestNeighboursShareTheirNetwork(t *testing.T) {
	t.Parallel()
	_, enter := lobby(nil)
	for range door.PerAddress {
		if _, ok := enter("2001:db8:1:2::1"); !ok {
			t.Fatal("refused too early")
		}
	}
	if _, ok := enter("2001:db8:1:2:ffff::9"); ok {
		t.Error("another address of the same /64 was let in")
	}
	let := door.PerAddress
	for net := range 20 {
		for range door.PerAddress {
			if _, ok := enter("2001:db8:1:" + string(rune('a'+net%6)) + string(rune('0'+net%10)) + "::1"); ok {
				let++
			}
		}
	}
	if let != 10*door.PerAddress {
		t.Errorf("%d of one /48 were let in", let)
	}
	if _, ok := enter("2001:db8:2::1"); !ok {
		t.Error("another /48 was refused")
	}
}

// This machine itself is not bounded, nor is anybody by a lobby that is not there.
func TestWhoIsNotBounded(t *testing.T) {
	t.Parallel()
	l, enter := lobby(nil)
	for range 3 * door.PerAddress {
		for _, from := range []string{"127.0.0.1", "::1", "nowhere"} {
			if _, ok := enter(from); !ok {
				t.Fatalf("%s was refused", from)
			}
		}
		if leave, ok := (*door.Lobby)(nil).Enter(nil); !ok {
			t.Fatal("refused by nobody")
		} else {
			leave()
		}
	}
	if l.Waiting() != 0 {
		t.Errorf("%d addresses kept", l.Waiting())
	}
}

// Of many at once as many are let in as there are places, and all places come back.
func TestPlacesUnderPressure(t *testing.T) {
	t.Parallel()
	l, enter := lobby(nil)
	for range 20 {
		var tried, left sync.WaitGroup
		var inside atomic.Int64
		tried.Add(100)
		for range 100 {
			left.Go(func() {
				leave, ok := enter("203.0.113.7")
				if ok {
					inside.Add(1)
				}
				tried.Done()
				tried.Wait() // nobody leaves before everybody has tried
				if ok {
					leave()
				}
			})
		}
		left.Wait()
		if n := inside.Load(); n != door.PerAddress || l.Waiting() != 0 {
			t.Fatalf("%d were let in, %d addresses kept after all had left", n, l.Waiting())
		}
	}
}
