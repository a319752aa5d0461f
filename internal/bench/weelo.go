package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weelo/internal/client"
	"weelo/internal/world"
	"weelo/transport/wire"
)

// weeloTarget is the real product: `weelo dev --no-simulation` with LIMITS=off, on a fresh folder whose
// world was seeded before.
type weeloTarget struct{ binary string }

func (w weeloTarget) Name() string { return "weelo" }

func (w weeloTarget) Start(ctx context.Context, need Need) (_ Server, err error) {
	dir, err := os.MkdirTemp("", "weelo-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench folder: %w", err)
	}
	s := &weeloServer{dir: dir}
	defer func() {
		if err != nil {
			_ = s.Stop()
		}
	}()
	people, err := w.seed(ctx, dir, need.Drivers)
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	address, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if s.admin, err = freePort(ctx); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, w.binary, "dev", "--no-simulation", "--dir", filepath.Join(dir, "dev"))
	// What it prints is for people; its errors are passed on.
	env := append(os.Environ(), "PORT="+port, "LIMITS=off", "ADMIN_ADDR="+s.admin, "LOG_LEVEL=warn", "TIME_SCALE=1")
	if s.child, err = startChild(ctx, cmd, env, "http://"+address); err != nil {
		return nil, err
	}
	return s, s.prepare(ctx, people, need)
}

// seed puts n drivers with a truck each into the folder that dev will use.
func (w weeloTarget) seed(ctx context.Context, dir string, n int) (people world.File, err error) {
	out := filepath.Join(dir, "world.json")
	cmd := exec.CommandContext(ctx, w.binary, "seed", "--demo", "--drivers", strconv.Itoa(max(n, 1)), "--customers", "1",
		"--dir", filepath.Join(dir, "dev"), "--out", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		return people, fmt.Errorf("%w: %s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return people, err
	}
	return people, json.Unmarshal(b, &people)
}

// weeloServer is one process of the product with its drivers.
type weeloServer struct {
	*child
	dir   string
	admin string // address of its profiles
	rides []ride
}

// ride is one driver, his trip (if any), and the transporter who watches it.
type ride struct {
	driver  string // token
	watcher string // token
	trip    string
}

// Stop ends the process and removes its folder.
func (s *weeloServer) Stop() error {
	if s.child != nil {
		_ = s.child.Stop()
	}
	return os.RemoveAll(s.dir)
}

// profile writes a CPU profile of the next stretch to a file.
func (s *weeloServer) profile(ctx context.Context, lasts time.Duration, file string) error {
	return s.fetch(ctx, fmt.Sprintf("profile?seconds=%d", max(1, int(lasts.Seconds()))), file)
}

// heap writes a profile of the memory in use to a file.
func (s *weeloServer) heap(ctx context.Context, file string) error {
	return s.fetch(ctx, "heap?gc=1", file)
}

func (s *weeloServer) fetch(ctx context.Context, what, file string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/%s", s.admin, what)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, answer.Body)
	return errors.Join(err, out.Close())
}

// pair is a driver and the truck that stands beside him in the world.
type pair struct {
	transporter world.FileTransporter
	at          int
}

// prepare notes the drivers and, where they are needed, puts each on a trip.
func (s *weeloServer) prepare(ctx context.Context, people world.File, need Need) error {
	var pairs []pair
	for _, t := range people.Transporters {
		for i := range min(len(t.Drivers), len(t.Vehicles)) {
			pairs = append(pairs, pair{t, i})
		}
	}
	if len(pairs) < need.Drivers {
		return fmt.Errorf("the world has %d drivers with a truck, %d are needed", len(pairs), need.Drivers)
	}
	s.rides = make([]ride, need.Drivers)
	return each(ctx, need.Drivers, 8, func(ctx context.Context, i int) (err error) {
		p := pairs[i]
		s.rides[i] = ride{driver: p.transporter.Drivers[p.at].Token, watcher: p.transporter.Token}
		if need.Trips {
			s.rides[i].trip, err = s.assign(ctx, p)
		}
		return err
	})
}

// assign starts a trip through the API, as a transporter and his driver do it.
func (s *weeloServer) assign(ctx context.Context, p pair) (trip string, err error) {
	api := client.REST{BaseURL: s.url}
	driver := p.transporter.Drivers[p.at]
	trip, err = api.As(p.transporter.Token).Assign(ctx, client.Assignment{
		VehicleID: p.transporter.Vehicles[p.at].ID, DriverID: driver.ID,
		Pickup: client.Place{Latitude: startLat, Longitude: startLng, Address: "Peenya, Bengaluru"},
		Drop:   client.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Ambattur, Chennai"},
	})
	if err != nil {
		return "", fmt.Errorf("assign: %w", err)
	}
	if err := api.As(driver.Token).Accept(ctx, trip); err != nil {
		return "", fmt.Errorf("accept: %w", err)
	}
	return trip, nil
}

func (s *weeloServer) peer(token, device string) Peer {
	return Peer{
		URL: "ws" + strings.TrimPrefix(s.url, "http") + "/ws/v1", Open: [][]byte{wire.AppendHello(nil, token, device, nil)},
		Ready: []string{`{"t":"welcome"`},
	}
}

func (s *weeloServer) Driver(i int) Peer { return s.peer(s.rides[i].driver, "phone") }

func (s *weeloServer) Watcher(i, k int) Peer {
	p := s.peer(s.rides[i].watcher, fmt.Sprintf("screen-%d-%d", i, k))
	p.Open = append(p.Open, wire.AppendWatch(nil, "w", "trip", s.rides[i].trip))
	p.Ready = append(p.Ready, `{"t":"trip"`)
	return p
}

// Idle is a driver's socket: it has an actor behind it.
func (s *weeloServer) Idle(i int) Peer { return s.peer(s.rides[i].driver, "idle") }
