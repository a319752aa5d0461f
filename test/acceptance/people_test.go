package acceptance

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weelo/internal/client"
	"weelo/internal/servertest"
	"weelo/internal/world"
	"weelo/transport/wire"
)

// stage is an installation whose weelo can be killed and started again on the same port and stores.
type stage struct {
	name    string
	args    []string
	environ []string
	smsFile string
	cast    cast
	server  *servertest.Weelo
}

// cast is who plays: one transporter with a driver and a truck, one customer.
type cast struct {
	transporterPhone, driverPhone, customerPhone string
	driverID, vehicleID                          string
}

// freePort gives a port that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func onDev(t testing.TB, more ...string) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{
		name: "dev", args: []string{"dev", "--no-simulation", "--dir", dir}, smsFile: filepath.Join(dir, "sms.jsonl"),
		environ: environment(append([]string{"PORT=" + strconv.Itoa(freePort(t))}, more...)...),
	}
	s.start(t)
	var demo world.Demo
	eventually(t, 10*time.Second, "demo.json", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "demo.json"))
		return err == nil && json.Unmarshal(text, &demo) == nil
	})
	for _, tr := range demo.Transporters {
		if tr.Free {
			s.cast.transporterPhone, s.cast.driverPhone, s.cast.driverID, s.cast.vehicleID = tr.Phone, tr.Drivers[0].Phone, tr.Drivers[0].ID, tr.Vehicles[0].ID
			break
		}
	}
	for _, c := range demo.Customers {
		if c.Free {
			s.cast.customerPhone = c.Phone
		}
	}
	return s
}

func onServe(t testing.TB, more ...string) *stage {
	t.Helper()
	s := &stage{name: "serve", args: []string{"serve"}}
	s.environ = serveEnvironment(t, newStores(t), append([]string{"PORT=" + strconv.Itoa(freePort(t))}, more...)...)
	for _, kv := range s.environ {
		if file, ok := strings.CutPrefix(kv, "SMS_PROVIDER=file:"); ok {
			s.smsFile = file
		}
	}
	out := filepath.Join(t.TempDir(), "world.json")
	seed := exec.Command(servertest.Program(t), "seed", "--demo", "--drivers", "2", "--customers", "1", "--transporters", "1", "--out", out)
	seed.Env = s.environ
	if text, err := seed.CombinedOutput(); err != nil {
		t.Fatalf("seed: %v\n%s", err, text)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := world.ReadFile(f)
	if err != nil {
		t.Fatal(err)
	}
	tr := w.Transporters[0]
	s.cast = cast{tr.Phone, tr.Drivers[0].Phone, w.Customers[0].Phone, tr.Drivers[0].ID, tr.Vehicles[0].ID}
	s.start(t)
	return s
}

func (s *stage) start(t testing.TB) { s.server = servertest.Serve(t, s.environ, s.args...) }

// crash kills the server as a machine that vanishes would, and starts another on its stores.
func (s *stage) crash(t testing.TB) {
	t.Helper()
	s.server.Kill()
	s.start(t)
}

func (s *stage) api(token string) client.REST {
	return client.REST{BaseURL: s.server.Base, Token: token}
}

// code waits for the message that comes to a phone after `seen` messages, and answers its code.
func (s *stage) code(t testing.TB, phone string, seen int) string {
	t.Helper()
	var sms struct{ To, Body, Code string }
	eventually(t, 15*time.Second, "an SMS to "+phone[len(phone)-4:], func() bool {
		all := lines(s.smsFile)
		for _, line := range all[min(seen, len(all)):] {
			if json.Unmarshal([]byte(line), &sms) == nil && sms.To == "+91"+phone {
				return true
			}
		}
		return false
	})
	if !strings.Contains(sms.Body, sms.Code) || len(sms.Code) != 6 {
		t.Errorf("an SMS without its code: %+v", sms)
	}
	return sms.Code
}

// login goes the way of the apps and answers the access token.
func (s *stage) login(t testing.TB, phone, role string) string {
	t.Helper()
	seen := len(lines(s.smsFile))
	if err := s.api("").SendOTP(t.Context(), phone, role); err != nil {
		t.Fatalf("send-otp: %v", err)
	}
	tokens, _, err := s.api("").VerifyOTP(t.Context(), phone, role, s.code(t, phone, seen))
	if err != nil {
		t.Fatalf("verify-otp: %v", err)
	}
	return tokens.AccessToken
}

// loginDriver asks for a code, which goes to the transporter's phone.
func (s *stage) loginDriver(t testing.TB) string {
	t.Helper()
	seen := len(lines(s.smsFile))
	if err := s.api("").SendDriverOTP(t.Context(), s.cast.driverPhone); err != nil {
		t.Fatalf("driver send-otp: %v", err)
	}
	tokens, id, err := s.api("").VerifyDriverOTP(t.Context(), s.cast.driverPhone, s.code(t, s.cast.transporterPhone, seen))
	if err != nil || id != s.cast.driverID {
		t.Fatalf("driver verify-otp: %q %v", id, err)
	}
	return tokens.AccessToken
}

// person is somebody on a socket that comes back, with everything it got.
type person struct {
	*client.Session
	end func() // leaves and waits

	mu        sync.Mutex
	events    []*wire.Received
	positions []wire.Position
	trips     []*wire.Received
	modes     []string // of the welcomes
	synced    int
}

// connect opens a session that reconnects by itself, until end is called or the test ends.
func (s *stage) connect(t testing.TB, token, device string, resume *wire.Resume) *person {
	t.Helper()
	p := &person{Session: client.NewSession(client.Config{
		BaseURL: s.server.Base, Device: device, Resume: resume, Min: 50 * time.Millisecond, Max: 500 * time.Millisecond,
		Token: func(context.Context, bool) (string, error) { return token, nil },
	})}
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Errorf("session of %s: %v", device, err)
		}
	})
	both.Go(func() {
		for f := range p.Frames() {
			p.note(f)
		}
	})
	p.end = sync.OnceFunc(func() { cancel(); both.Wait() })
	t.Cleanup(p.end)
	return p
}

func (p *person) note(f client.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.Received == nil {
		p.positions = append(p.positions, f.Positions...)
		return
	}
	switch f.T {
	case "event":
		p.events = append(p.events, f.Received)
	case "trip":
		p.trips = append(p.trips, f.Received)
	case "welcome":
		p.modes = append(p.modes, f.Mode)
	case "synced":
		p.synced++
	}
}

// numbers are those of the durable events, in the order of arrival.
func (p *person) numbers() []int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []int64
	for _, e := range p.events {
		if e.Seq > 0 {
			out = append(out, e.Seq)
		}
	}
	return out
}

// statuses are those of the trip_status events, in the order of arrival.
func (p *person) statuses() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, e := range p.events {
		var data struct{ Status string }
		if e.Type == "trip_status" && json.Unmarshal(e.Data, &data) == nil {
			out = append(out, data.Status)
		}
	}
	return out
}

// lastTS is the phone time of the newest position seen of a trip.
func (p *person) lastTS(trip string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ts int64
	for _, at := range p.positions {
		if at.Trip == trip {
			ts = max(ts, at.Fix.TS)
		}
	}
	return ts
}

// mapToken is the session that the live map of a dev gets, which sees everything.
func mapToken(t testing.TB, base string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/dev/session", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", base)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var session struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&session); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("the map's session: %d %v", res.StatusCode, err)
	}
	return session.Token
}
