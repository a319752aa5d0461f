package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/notify"
)

const account = "AC0123456789abcdef0123456789abcdef"

func twilio(t *testing.T, from, address string) *notify.Twilio {
	t.Helper()
	p, err := notify.NewTwilio(notify.TwilioConfig{AccountSID: account, AuthToken: "secret", From: from, BaseURL: address + "/"}, &http.Client{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTwilio: the request's shape, and what each answer means.
func TestTwilio(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   notify.Class
		err    error
	}{
		{"accepted", 201, `{"sid":"SM1","status":"queued"}`, notify.Accepted, nil},
		{"failed at once", 201, `{"sid":"SM1","status":"failed"}`, notify.Refused, notify.ErrAccount},
		{"no such number", 400, `{"code":21211,"message":"not a valid phone number","status":400}`, notify.Refused, notify.ErrNumber},
		{"unsubscribed", 400, `{"code":21610,"message":"unsubscribed recipient","status":400}`, notify.Refused, notify.ErrNumber},
		{"wrong token", 401, `{"code":20003,"message":"Authenticate","status":401}`, notify.Refused, notify.ErrAccount},
		{"too many", 429, `{"code":20429,"message":"Too Many Requests","status":429}`, notify.Refused, notify.ErrBusy},
		{"away", 503, `<html>`, notify.Refused, notify.ErrBusy},
		{"broken", 500, `{"code":20500}`, notify.Undecided, notify.ErrUnclear},
		{"created without a message", 201, `{}`, notify.Undecided, notify.ErrUnclear},
		{"elsewhere", 302, ``, notify.Undecided, notify.ErrUnclear},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var form url.Values
			var path, user, password string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				user, password, _ = r.BasicAuth()
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				path, form = r.Method+" "+r.URL.Path, r.PostForm
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			defer s.Close()
			class, err := twilio(t, "+15005550006", s.URL).Send(t.Context(), message)
			if class != c.want || !errors.Is(err, c.err) {
				t.Errorf("%v, %v", class, err)
			}
			if err != nil && (strings.Contains(err.Error(), "123456") || strings.Contains(err.Error(), "987654")) {
				t.Errorf("leaks: %v", err)
			}
			want := url.Values{"To": {"+919876543210"}, "From": {"+15005550006"}, "Body": {message.Body}}
			if diff := cmp.Diff(want, form); diff != "" || path != "POST /2010-04-01/Accounts/"+account+"/Messages.json" || user != account || password != "secret" {
				t.Errorf("%s as %s:%s (-want +got):\n%s", path, user, password, diff)
			}
		})
	}
}

// TestTwilioByService: a messaging service chooses the sender.
func TestTwilioByService(t *testing.T) {
	t.Parallel()
	service := "MG" + strings.TrimPrefix(account, "AC")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("MessagingServiceSid") != service || r.PostForm.Has("From") {
			t.Errorf("form %v", r.PostForm)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"sid":"SM1","status":"accepted"}`)
	}))
	defer s.Close()
	if class, err := twilio(t, service, s.URL).Send(t.Context(), message); class != notify.Accepted || err != nil {
		t.Error(class, err)
	}
}

// TestTwilioNeedsAnAccount names everything that is missing at once.
func TestTwilioNeedsAnAccount(t *testing.T) {
	t.Parallel()
	_, err := notify.NewTwilio(notify.TwilioConfig{BaseURL: "ftp://x"}, nil)
	for _, name := range []string{"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER", "TWILIO_BASE_URL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v says nothing of %s", err, name)
		}
	}
}

// TestRoutes: the second is asked for what the first certainly did not take, and for nothing else.
func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		class notify.Class
		err   error
		want  notify.Class
		asked int // how often the second was
	}{
		{"taken", notify.Accepted, nil, notify.Accepted, 0},
		{"perhaps taken", notify.Undecided, notify.ErrNoAnswer, notify.Undecided, 0},
		{"nobody can reach it", notify.Refused, notify.ErrNumber, notify.Refused, 0},
		{"no credit", notify.Refused, notify.ErrAccount, notify.Accepted, 1},
		{"too busy", notify.Refused, notify.ErrBusy, notify.Accepted, 1},
		{"not registered there", notify.Refused, notify.ErrTemplate, notify.Accepted, 1},
	} {
		first := &counted{class: c.class, err: c.err}
		second := &counted{class: notify.Accepted}
		r := notify.NewRoutes(notify.RoutesConfig{Now: time.Now, Log: quiet()}, notify.Route{Name: "a", Sender: first}, notify.Route{Name: "b", Sender: second})
		if class, _ := r.Send(t.Context(), message); class != c.want || first.asked != 1 || second.asked != c.asked {
			t.Errorf("%s: %v, asked %d and %d times", c.name, class, first.asked, second.asked)
		}
	}
}

// TestRoutesGoRoundABreaker: a provider that fails is left alone, and the next one is asked meanwhile.
func TestRoutesGoRoundABreaker(t *testing.T) {
	t.Parallel()
	first := &counted{class: notify.Undecided, err: notify.ErrNoAnswer}
	second := &counted{class: notify.Accepted}
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	r := notify.NewRoutes(notify.RoutesConfig{Now: func() time.Time { return now }, Log: quiet()}, notify.Route{Name: "a", Sender: first}, notify.Route{Name: "b", Sender: second})
	for range 30 {
		_, _ = r.Send(t.Context(), message)
	}
	if first.asked != 20 || second.asked != 10 || !r.Open() {
		t.Errorf("asked %d and %d times, open %v", first.asked, second.asked, r.Open())
	}
}

// counted answers as told and counts.
type counted struct {
	class notify.Class
	err   error
	asked int
}

func (c *counted) Send(context.Context, notify.SMS) (notify.Class, error) {
	c.asked++
	return c.class, c.err
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
