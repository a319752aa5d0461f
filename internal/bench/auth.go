package bench

import (
	"bufio"
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
	"runtime"
	"strings"
	"time"

	"weelo/internal/client"
)

// AuthOptions size the benchmark of logins. The zero value of a field means its default.
type AuthOptions struct {
	// Binary is the weelo executable; default is the running one. DatabaseURL and RedisURL are the stores of
	// the servers that it is started as.
	Binary                string
	DatabaseURL, RedisURL string
	// Fails counts the wrong tries that were compared with a code.
	Fails FailCounter

	Runs    int // of each side; default 3
	Logins  int // of each run; default 2,000
	Width   int // requests under way at a time; default 16
	Guesses int // wrong codes for one phone, from one process and from Servers of them; 0: none
	Servers int // default 3
}

// FailCounter counts failed tries of a phone, in +91 form, after a time: every otp.Fails does.
type FailCounter interface {
	CountFails(ctx context.Context, phone string, since time.Time) (int, error)
}

func (o AuthOptions) withDefaults() (AuthOptions, error) {
	number(&o.Runs, 3)
	number(&o.Logins, 2000)
	number(&o.Width, 16)
	number(&o.Servers, 3)
	if o.Runs > 25 || o.Logins > 100_000 || o.Width > 1000 || o.Guesses > 10_000_000 || o.Servers > 16 {
		return o, errors.New("that is more than this benchmark is made for: 25 runs, 100,000 logins each, 1,000 at a time, 10,000,000 guesses, 16 servers")
	}
	if o.DatabaseURL == "" || o.RedisURL == "" || o.Fails == nil {
		return o, errors.New("logins are measured on serve: it needs DATABASE_URL (an empty database, please) and REDIS_URL")
	}
	if o.Binary == "" {
		exe, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("find the weelo binary: %w", err)
		}
		o.Binary = exe
	}
	return o, nil
}

// RunAuth measures sending and verifying codes on a started server beside a bare handler with one question
// to the same Redis and, when guesses are asked for, shows that a phone's ceiling of wrong tries is the same
// from several processes as from one. A ceiling that differs is an error.
func RunAuth(ctx context.Context, o AuthOptions, progress io.Writer) (Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Report{}, err
	}
	dir, err := os.MkdirTemp("", "weelo-bench-")
	if err != nil {
		return Report{}, fmt.Errorf("bench folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := &authRunner{
		AuthOptions: o, out: progress, sms: filepath.Join(dir, "sms.jsonl"), since: time.Now().Add(-time.Minute),
		report: Report{At: time.Now().UTC(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Runs: o.Runs, Logins: o.Logins},
		web:    &http.Client{Timeout: connectWait, Transport: &http.Transport{MaxIdleConnsPerHost: o.Width, MaxConnsPerHost: 4 * o.Width}},
	}
	r.phones = 6_000_000_000 + (time.Now().UnixMicro()%3_900_000)*1000 // numbers that nobody has used on these stores
	if err := r.logins(ctx); err != nil {
		return r.report, err
	}
	if o.Guesses > 0 {
		err = r.guesses(ctx)
	}
	return r.report, err
}

// authRunner is one RunAuth.
type authRunner struct {
	AuthOptions
	out    io.Writer
	report Report
	sms    string // file
	read   int64  // bytes of it
	phones int64  // the next number
	since  time.Time
	web    *http.Client
}

func (r *authRunner) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.out, format+"\n", args...) // progress; a closed terminal does not end a benchmark
}

func (r *authRunner) phone() string {
	r.phones++
	return fmt.Sprint(r.phones)
}

// serve starts a server of the product without rate limits; messages go to a file.
func (r *authRunner) serve(ctx context.Context) (*child, error) {
	address, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	env := append(os.Environ(), "PORT="+port, "ADMIN_ADDR=127.0.0.1:0", "LIMITS=off", "LOG_LEVEL=error", "NODE_ENV=development",
		"DATABASE_URL="+r.DatabaseURL, "REDIS_URL="+r.RedisURL, "SMS_PROVIDER=file:"+r.sms,
		"JWT_SECRET=bench-of-logins-kJ8vQm2ZrT5xW9bN4cL7pD1fG6", "JWT_REFRESH_SECRET=bench-of-refreshes-Zp4Xc7Vb1Nm8Lk5Jh2Gf9Ds6")
	return startChild(ctx, exec.CommandContext(ctx, r.Binary, "serve"), env, "http://"+address)
}

func (r *authRunner) bare(ctx context.Context) (*child, error) {
	address, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	env := append(os.Environ(), "REDIS_URL="+r.RedisURL)
	return startChild(ctx, exec.CommandContext(ctx, r.Binary, "bench", "bare", address, "login"), env, "http://"+address)
}

// stretch is what a number of requests took.
type stretch struct {
	rate float64 // requests a second
	cost float64 // µs of the server's CPU each
}

// measure sends n requests, as many at a time as the options say.
func (r *authRunner) measure(ctx context.Context, s *child, n int, request func(ctx context.Context, i int) error) (stretch, error) {
	before, err := cpu(s.PID())
	if err != nil {
		return stretch{}, err
	}
	start := time.Now()
	if err := each(ctx, n, r.Width, request); err != nil {
		return stretch{}, err
	}
	took := time.Since(start)
	after, err := cpu(s.PID())
	return stretch{rate: float64(n) / took.Seconds(), cost: float64((after - before).Microseconds()) / float64(n)}, err
}

// logins measures both sides in turns.
func (r *authRunner) logins(ctx context.Context) error {
	bare, err := r.bare(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = bare.Stop() }()
	weelo, err := r.serve(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = weelo.Stop() }()
	r.say("%d runs of %d logins, %d requests at a time", r.Runs, r.Logins, r.Width)
	const against = "a bare HTTP handler: JSON in, one SET in the same Redis, JSON out"
	rows := map[string]*Row{}
	for _, step := range []struct{ name, what string }{
		{"send", "POST auth/send-otp for a phone each, limits off, messages to a file"},
		{"verify", "POST auth/verify-otp with the right code: a new user, his session, the audit's row"},
	} {
		rows[step.name] = &Row{Name: step.name + ", per second", What: step.what, Unit: "1/s", More: true, Against: against}
		rows[step.name+" CPU"] = &Row{Name: step.name + ", CPU each", What: step.what, Unit: "µs", Against: against}
	}
	note := func(step string, bare, weelo stretch) {
		rate, cost := rows[step], rows[step+" CPU"]
		rate.BareRuns, rate.WeeloRuns = append(rate.BareRuns, bare.rate), append(rate.WeeloRuns, weelo.rate)
		cost.BareRuns, cost.WeeloRuns = append(cost.BareRuns, bare.cost), append(cost.WeeloRuns, weelo.cost)
	}
	for run := range r.Runs {
		plain, send, verify, err := r.round(ctx, bare, weelo)
		if err != nil {
			return err
		}
		note("send", plain, send)
		note("verify", plain, verify)
		r.say("  %d/%d bare %.0f/s %.0f µs   send %.0f/s %.0f µs   verify %.0f/s %.0f µs", run+1, r.Runs, plain.rate, plain.cost, send.rate, send.cost, verify.rate, verify.cost)
	}
	for _, name := range []string{"send", "send CPU", "verify", "verify CPU"} {
		r.report.add(*rows[name])
	}
	return nil
}

// round is one run of both sides.
func (r *authRunner) round(ctx context.Context, bare, weelo *child) (plain, send, verify stretch, err error) {
	phones := make([]string, r.Logins)
	for i := range phones {
		phones[i] = r.phone()
	}
	plain, err = r.measure(ctx, bare, len(phones), func(ctx context.Context, i int) error {
		return client.REST{BaseURL: bare.url, HTTP: r.web}.SendOTP(ctx, phones[i], "customer")
	})
	if err != nil {
		return plain, send, verify, fmt.Errorf("bare: %w", err)
	}
	api := client.REST{BaseURL: weelo.url, HTTP: r.web}
	send, err = r.measure(ctx, weelo, len(phones), func(ctx context.Context, i int) error { return api.SendOTP(ctx, phones[i], "customer") })
	if err != nil {
		return plain, send, verify, fmt.Errorf("send: %w", err)
	}
	codes, err := r.codes()
	if err != nil {
		return plain, send, verify, err
	}
	verify, err = r.measure(ctx, weelo, len(phones), func(ctx context.Context, i int) error {
		_, _, err := api.VerifyOTP(ctx, phones[i], "customer", codes[phones[i]])
		return err
	})
	if err != nil {
		return plain, send, verify, fmt.Errorf("verify: %w", err)
	}
	return plain, send, verify, nil
}

// codes reads the messages since the last time: national number → code.
func (r *authRunner) codes() (map[string]string, error) {
	file, err := os.Open(r.sms)
	if err != nil {
		return nil, fmt.Errorf("messages: %w", err)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(r.read, io.SeekStart); err != nil {
		return nil, fmt.Errorf("messages: %w", err)
	}
	codes := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var m struct{ To, Code string }
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("messages: %w", err)
		}
		codes[strings.TrimPrefix(m.To, "+91")] = m.Code
		r.read += int64(len(lines.Bytes())) + 1
	}
	return codes, lines.Err()
}
