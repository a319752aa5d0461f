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
	cmd := exec.CommandContext(ctx, w.binary, "dev", "--no-simulation", "--dir", filepath.Join(dir, "dev")) //nolint:gosec // our own binary
	// What it prints is for people; its errors are passed on.
	env := append(os.Environ(), "PORT="+port, "LIMITS=off", "ADMIN_ADDR="+s.admin, "LOG_LEVEL=warn", "TIME_SCALE=1")
	if s.child, err = startChild(ctx, cmd, env, "http://"+address); err != nil {
		return nil, err
	}
	return s, s.assign(ctx, people, need.Drivers)
}

// seed puts n drivers with a truck each into the folder that dev will use.
func (w weeloTarget) seed(ctx context.Context, dir string, n int) (people world.File, err error) {
	out := filepath.Join(dir, "world.json")
	cmd := exec.CommandContext(ctx, w.binary, "seed", "--demo", "--drivers", strconv.Itoa(max(n, 1)), "--customers", "1", //nolint:gosec // our own binary
		"--dir", filepath.Join(dir, "dev"), "--out", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		return people, fmt.Errorf("%w: %s", err, text)
	}
	b, err := os.ReadFile(out) //nolint:gosec // our own file
	if err != nil {
		return people, err
	}
	return people, json.Unmarshal(b, &people)
}

// weeloServer is one process of the product with a live trip per driver.
type weeloServer struct {
	*child
	dir   string
	admin string // address of its profiles
	trips []rideOf
}

// rideOf is one driver on his trip, with the transporter who watches it.
type rideOf struct {
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
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.admin, max(1, int(lasts.Seconds())))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	out, err := os.Create(file) //nolint:gosec // the user's choice
	if err != nil {
		return err
	}
	_, err = io.Copy(out, answer.Body)
	return errors.Join(err, out.Close())
}

// assign puts every driver on a trip through the API, as a transporter and his driver do it.
func (s *weeloServer) assign(ctx context.Context, people world.File, n int) error {
	type pair struct {
		transporter world.FileTransporter
		at          int
	}
	var pairs []pair
	for _, t := range people.Transporters {
		for i := range min(len(t.Drivers), len(t.Vehicles)) {
			pairs = append(pairs, pair{t, i})
		}
	}
	if len(pairs) < n {
		return fmt.Errorf("the world has %d drivers with a truck, %d are needed", len(pairs), n)
	}
	s.trips = make([]rideOf, n)
	api := client.REST{BaseURL: s.url}
	return each(ctx, n, 8, func(ctx context.Context, i int) error {
		p := pairs[i]
		driver := p.transporter.Drivers[p.at]
		trip, err := api.As(p.transporter.Token).Assign(ctx, client.Assignment{
			VehicleID: p.transporter.Vehicles[p.at].ID, DriverID: driver.ID,
			Pickup: client.Place{Latitude: startLat, Longitude: startLng, Address: "Peenya, Bengaluru"},
			Drop:   client.Place{Latitude: 13.0827, Longitude: 80.2707, Address: "Ambattur, Chennai"},
		})
		if err != nil {
			return fmt.Errorf("assign: %w", err)
		}
		if err := api.As(driver.Token).Accept(ctx, trip); err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		s.trips[i] = rideOf{driver: driver.Token, watcher: p.transporter.Token, trip: trip}
		return nil
	})
}

func (s *weeloServer) peer(token, device string) Peer {
	return Peer{
		URL: "ws" + strings.TrimPrefix(s.url, "http") + "/ws/v1", Open: [][]byte{wire.AppendHello(nil, token, device, nil)},
		Ready: []string{`{"t":"welcome"`},
	}
}

func (s *weeloServer) Driver(i int) Peer { return s.peer(s.trips[i].driver, "phone") }

func (s *weeloServer) Watcher(i, k int) Peer {
	p := s.peer(s.trips[i].watcher, fmt.Sprintf("screen-%d-%d", i, k))
	p.Open = append(p.Open, wire.AppendWatch(nil, "w", "trip", s.trips[i].trip))
	p.Ready = append(p.Ready, `{"t":"trip"`)
	return p
}

// Idle is a driver's socket: it has an actor behind it.
func (s *weeloServer) Idle(i int) Peer { return s.peer(s.trips[i].driver, "idle") }
