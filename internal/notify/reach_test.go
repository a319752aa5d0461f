package notify_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weelo/internal/notify"
)

// overdue is a context whose deadline passes when its channel is closed, however busy the machine is.
type overdue struct {
	context.Context //nolint:containedctx // it is one
	passed          chan struct{}
}

func (o overdue) Done() <-chan struct{} { return o.passed }

func (o overdue) Err() error {
	select {
	case <-o.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestOutOfReach: of every provider, what never left is refused, and what nobody answered to the end may
// arrive.
func TestOutOfReach(t *testing.T) {
	t.Parallel()
	providers := map[string]func(*testing.T, string) notify.Sender{
		"twilio": func(t *testing.T, address string) notify.Sender { return twilio(t, "+15005550006", address) },
		"msg91": func(t *testing.T, address string) notify.Sender {
			t.Helper()
			m, err := notify.NewMSG91(notify.MSG91Config{AuthKey: "key", Templates: notify.TemplateIDs{notify.TextLogin: "tpl"}, BaseURL: address}, notify.Client())
			if err != nil {
				t.Fatal(err)
			}
			return m
		},
	}
	cases := []struct {
		name  string
		serve func(w http.ResponseWriter, late, end chan struct{}) // nil: nobody listens
		want  notify.Class
		err   error
	}{
		{"refuses the connection", nil, notify.Refused, notify.ErrUnreached},
		{"hangs", func(_ http.ResponseWriter, late, end chan struct{}) { close(late); <-end }, notify.Undecided, notify.ErrNoAnswer},
		{"breaks off", func(http.ResponseWriter, chan struct{}, chan struct{}) { panic(http.ErrAbortHandler) }, notify.Undecided, notify.ErrUnclear},
		{"stops in the middle of its answer", func(w http.ResponseWriter, late, end chan struct{}) {
			w.WriteHeader(http.StatusOK)
			_, _ = io.WriteString(w, `{"type":`)
			_ = http.NewResponseController(w).Flush()
			close(late)
			<-end
		}, notify.Undecided, nil},
	}
	for name, provider := range providers {
		for _, c := range cases {
			t.Run(name+" "+c.name, func(t *testing.T) {
				t.Parallel()
				late, end := make(chan struct{}), make(chan struct{})
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					c.serve(w, late, end)
				}))
				defer s.Close()
				defer close(end)
				if c.serve == nil {
					s.Close()
				}
				class, err := provider(t, s.URL).Send(overdue{t.Context(), late}, message)
				if class != c.want || err == nil || !errors.Is(err, c.err) && c.err != nil {
					t.Errorf("%v, %v", class, err)
				}
				if said := err.Error(); strings.Contains(said, "127.0.0.1") || strings.Contains(said, "123456") || strings.Contains(said, "98765") {
					t.Errorf("leaks: %v", err)
				}
			})
		}
	}
}
