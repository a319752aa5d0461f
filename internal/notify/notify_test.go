package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weelo/internal/notify"
)

var message = notify.SMS{To: "+919876543210", Body: "<#> 123456 is your code\nAAAAAAAAAAA", Code: "123456"}

func TestTexts(t *testing.T) {
	t.Parallel()
	hashed := notify.Hashes{Customer: "abcdefghijk"}
	for _, c := range []struct{ got, want string }{
		{notify.Hashes{}.OwnCode("+919876543210", notify.CustomerApp, "012345", 5).Body, "012345 is your Weelo login code. It is valid for 5 minutes. Do not share it with anyone."},
		{hashed.OwnCode("+919876543210", notify.CustomerApp, "012345", 5).Body, "<#> 012345 is your Weelo login code. It is valid for 5 minutes. Do not share it with anyone.\nabcdefghijk"},
		{hashed.OwnCode("+919876543210", notify.CaptainApp, "012345", 5).Body, "012345 is your Weelo login code. It is valid for 5 minutes. Do not share it with anyone."},
		{hashed.DriverCode("+919876543210", "012345", "Ravi", "6789", 5).Body, "012345 is the Weelo login code for your driver Ravi (number ending 6789). Give it only to this driver. Valid for 5 minutes."},
		{hashed.DriverCode("+919876543210", "012345", "", "6789", 5).Body, "012345 is the Weelo login code for your driver (number ending 6789). Give it only to this driver. Valid for 5 minutes."},
		{hashed.OnboardCode("+919876543210", "012345", "रवि Roadlines & Sons of the Southern Ghats", 10).Body,
			"012345 is the code to join the fleet of Roadlines & Sons of the Southe on Weelo. Tell it only if you want to drive for them. Valid for 10 minutes."},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
		if len(c.got) > 160 {
			t.Errorf("%d characters need two messages: %q", len(c.got), c.got)
		}
	}
}

func TestMessagesPrintWithoutCodeAndPhone(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("sms", "message", message)
	printed := log.String() + fmt.Sprintf("%v %+v %#v %s", message, message, message, message)
	if strings.Contains(printed, "123456") || strings.Contains(printed, "987654") {
		t.Errorf("leaks: %s", printed)
	}
}

// MSG91: the request's shape, and what each answer means.
func TestMSG91(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   notify.Class
		why    string
	}{
		{"accepted", 200, `{"type":"success","request_id":"3"}`, notify.Accepted, ""},
		{"refused with 200", 200, `{"type":"error","message":"template id missing"}`, notify.Refused, "template id missing"},
		{"wrong key", 401, `{"type":"error","message":"invalid authkey"}`, notify.Refused, "invalid authkey"},
		{"bad request without JSON", 400, `nope`, notify.Refused, "status 400"},
		{"an echo of the code is not repeated", 200, `{"type":"error","message":"otp 123456 to 919876543210 failed"}`, notify.Refused, "withheld"},
		{"outage", 502, `<html>`, notify.Undecided, "status 502"},
		{"unclear", 200, `{}`, notify.Undecided, "status 200"},
		{"empty", 200, ``, notify.Undecided, "status 200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got *http.Request
			var body map[string]string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.Clone(context.Background())
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer s.Close()
			m, err := notify.NewMSG91(notify.MSG91Config{AuthKey: "key", Templates: notify.TemplateIDs{notify.TextLogin: "tpl"}, SenderID: "WEELO", BaseURL: s.URL + "/"}, s.Client())
			if err != nil {
				t.Fatal(err)
			}
			class, err := m.Send(t.Context(), message)
			if class != c.want || (err == nil) != (c.want == notify.Accepted) {
				t.Errorf("%v, %v", class, err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "123456") || strings.Contains(err.Error(), "98765")) {
				t.Errorf("why: %v", err)
			}
			if got.Method != http.MethodPost || got.URL.Path != "/api/v5/otp" || got.Header.Get("authkey") != "key" || got.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s %v", got.Method, got.URL.Path, got.Header)
			}
			if fmt.Sprint(body) != "map[mobile:919876543210 otp:123456 sender:WEELO template_id:tpl]" {
				t.Errorf("body %v", body)
			}
		})
	}
}

// TestMSG91NeedsAnAccount names everything that is missing at once.
func TestMSG91NeedsAnAccount(t *testing.T) {
	t.Parallel()
	_, err := notify.NewMSG91(notify.MSG91Config{BaseURL: "ftp://x"}, nil)
	for _, name := range []string{"MSG91_AUTH_KEY", "MSG91_TEMPLATE_ID", "MSG91_BASE_URL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}

func TestFileAndConsole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sms.jsonl")
	f := notify.NewFile(path, func() time.Time { return time.Date(2026, 11, 24, 17, 30, 0, 5e6, time.FixedZone("IST", 19800)) })
	var out bytes.Buffer
	both := notify.Both{f, notify.NewConsole(&out)}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if class, err := both.Send(t.Context(), message); class != notify.Accepted || err != nil {
				t.Errorf("%v, %v", class, err)
			}
		})
	}
	wg.Wait()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"to":"+919876543210","body":"\u003c#\u003e 123456 is your code\nAAAAAAAAAAA","code":"123456","at":"2026-11-24T12:00:00.005Z"}` + "\n"
	if string(raw) != strings.Repeat(want, 10) {
		t.Errorf("%s", raw)
	}
	if strings.Count(out.String(), "SMS to +919876543210: <#> 123456") != 10 {
		t.Errorf("%s", out.String())
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if class, err := notify.NewFile(filepath.Join(path, "no"), time.Now).Send(t.Context(), message); class != notify.Refused || err == nil {
		t.Errorf("an unwritable file: %v, %v", class, err)
	}
}

// provider answers as told.
type provider func(context.Context, notify.SMS) (notify.Class, error)

func (p provider) Send(ctx context.Context, s notify.SMS) (notify.Class, error) { return p(ctx, s) }

func running(t *testing.T, p provider, c notify.Config) (*notify.Dispatcher, *bytes.Buffer, func()) {
	t.Helper()
	var log bytes.Buffer
	c.Now = time.Now
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	d := notify.NewDispatcher(notify.NewRoutes(notify.RoutesConfig{Now: time.Now, Log: c.Log}, notify.Route{Name: "sink", Sender: p}), c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.Run(ctx) }()
	return d, &log, func() { cancel(); <-done }
}

func TestDispatcherTellsWhatIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		class, why := notify.Accepted, error(nil)
		d, log, stop := running(t, func(context.Context, notify.SMS) (notify.Class, error) { return class, why }, notify.Config{})
		defer stop()
		if got, err := d.Send(t.Context(), message, nil); got != notify.Accepted || err != nil || log.Len() != 0 {
			t.Errorf("%v, %v, %s", got, err, log)
		}
		class, why = notify.Refused, errors.New("no credit")
		if got, err := d.Send(t.Context(), message, nil); got != notify.Refused || !errors.Is(err, why) {
			t.Errorf("%v, %v", got, err)
		}
		if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "no credit") || !strings.Contains(s, "+91******3210") || strings.Contains(s, "123456") {
			t.Errorf("log: %s", s)
		}
	})
}

// The caller waits as long as it wants; the message goes on, and its late fate is told.
func TestDispatcherDoesNotHoldUpTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, _, stop := running(t, func(ctx context.Context, _ notify.SMS) (notify.Class, error) {
			select {
			case <-ctx.Done():
				return notify.Undecided, ctx.Err()
			case <-time.After(4 * time.Second):
				return notify.Refused, errors.New("late no")
			}
		}, notify.Config{})
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		late := make(chan notify.Class, 1)
		began := time.Now()
		if got, err := d.Send(ctx, message, func(c notify.Class, _ error) { late <- c }); got != notify.Undecided || err == nil || time.Since(began) != 3*time.Second {
			t.Errorf("%v, %v after %v", got, err, time.Since(began))
		}
		if got := <-late; got != notify.Refused || time.Since(began) != 4*time.Second {
			t.Errorf("late: %v after %v", got, time.Since(began))
		}
	})
}

// Each call of the provider ends after its timeout, workers and queue are bounded, and what does not
// fit is refused at once.
func TestDispatcherIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		busy, most := 0, 0
		d, log, stop := running(t, func(ctx context.Context, _ notify.SMS) (notify.Class, error) {
			mu.Lock()
			busy++
			most = max(most, busy)
			mu.Unlock()
			<-ctx.Done()
			mu.Lock()
			busy--
			mu.Unlock()
			return notify.Undecided, ctx.Err()
		}, notify.Config{Workers: 2, Queue: 3})
		defer stop()
		began := time.Now()
		var wg sync.WaitGroup
		classes := map[notify.Class]int{}
		for range 9 {
			wg.Go(func() {
				class, err := d.Send(t.Context(), message, nil)
				mu.Lock()
				defer mu.Unlock()
				classes[class]++
				if class == notify.Refused && !errors.Is(err, notify.ErrQueueFull) {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if most != 2 || classes[notify.Refused] != 4 || classes[notify.Undecided] != 5 || time.Since(began) != 15*time.Second {
			t.Errorf("%d at once, %v, %v", most, classes, time.Since(began))
		}
		if n := strings.Count(log.String(), "not sent"); n != 9 {
			t.Errorf("%d lines for 9 codes: %s", n, log)
		}
	})
}

// After a run of failures nothing goes to the provider for a while; then one probe decides.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls, healthy := 0, false
		d, log, stop := running(t, func(context.Context, notify.SMS) (notify.Class, error) {
			calls++
			if healthy {
				return notify.Accepted, nil
			}
			return notify.Refused, errors.New("down")
		}, notify.Config{})
		defer stop()
		send := func() error {
			_, err := d.Send(t.Context(), message, nil)
			return err
		}
		for range 20 {
			_ = send()
		}
		if err := send(); calls != 20 || !errors.Is(err, notify.ErrBreakerOpen) || !strings.Contains(log.String(), "sending stops") {
			t.Fatalf("%d calls, %v", calls, err)
		}
		<-time.After(10 * time.Second)
		if err := send(); calls != 21 || errors.Is(err, notify.ErrBreakerOpen) {
			t.Fatalf("the probe: %d calls, %v", calls, err)
		}
		if err := send(); !errors.Is(err, notify.ErrBreakerOpen) {
			t.Fatalf("after a failed probe: %v", err)
		}
		<-time.After(10 * time.Second)
		healthy = true
		for range 30 {
			if err := send(); err != nil {
				t.Fatalf("after a good probe: %v", err)
			}
		}
		// One failure in four does not open it.
		for i := range 100 {
			healthy = i%4 != 0
			if err := send(); errors.Is(err, notify.ErrBreakerOpen) {
				t.Fatal("opened at one in four")
			}
		}
	})
}

// What still waits at the end is refused and told, not dropped.
func TestDispatcherStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		d, log, stop := running(t, func(context.Context, notify.SMS) (notify.Class, error) {
			<-release
			return notify.Accepted, nil
		}, notify.Config{Workers: 1})
		answers := make(chan error, 3)
		for range 3 {
			go func() { _, err := d.Send(t.Context(), message, nil); answers <- err }()
			synctest.Wait()
		}
		go func() { <-time.After(time.Second); close(release) }()
		stop()
		stopped := 0
		for range 3 {
			if err := <-answers; errors.Is(err, notify.ErrStopped) {
				stopped++
			} else if err != nil {
				t.Error(err)
			}
		}
		if stopped == 0 || strings.Count(log.String(), "not sent") != stopped {
			t.Errorf("%d stopped: %s", stopped, log)
		}
		if _, err := d.Send(t.Context(), message, nil); !errors.Is(err, notify.ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
	})
}
