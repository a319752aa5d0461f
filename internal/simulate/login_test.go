package simulate

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weelo/internal/world"
)

// TestLoginComesAgain: a login that is refused for a moment is tried again when the server says so, not
// before; one that is refused for long is given up at once.
func TestLoginComesAgain(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]struct {
		retryAfter string
		want       bool
	}{"a moment": {"1", true}, "an hour": {"3600", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sms := filepath.Join(t.TempDir(), "sms.jsonl")
			var asked []time.Time
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "verify-otp"):
					_, _ = io.WriteString(w, `{"success":true,"data":{"accessToken":"fresh","driver":{"id":"d1"}}}`)
				case len(asked) == 0:
					asked = append(asked, time.Now())
					w.Header().Set("Retry-After", refuse.retryAfter)
					w.WriteHeader(http.StatusTooManyRequests)
					_, _ = io.WriteString(w, `{"success":false,"error":{"code":"AUTH_RATE_LIMIT_EXCEEDED"}}`)
				default:
					asked = append(asked, time.Now())
					line := `{"to":"+919876543210","code":"271828","at":"` + time.Now().UTC().Format(time.RFC3339Nano) + `"}` + "\n"
					if err := os.WriteFile(sms, []byte(line), 0o600); err != nil {
						t.Error(err)
					}
					_, _ = io.WriteString(w, `{"success":true,"data":{}}`)
				}
			}))
			defer web.Close()
			c := crew{driver: world.FilePerson{Phone: "9123456789"}, transporter: world.FileTransporter{Phone: "9876543210"}}
			token, err := newAPI(web.URL).loginDriver(t.Context(), c, sms)
			if !refuse.want {
				if err == nil || len(asked) != 1 {
					t.Errorf("%q %v after %d requests", token, err, len(asked))
				}
				return
			}
			if err != nil || token != "fresh" || len(asked) != 2 || asked[1].Sub(asked[0]) < time.Second {
				t.Errorf("%q %v after requests at %v", token, err, asked)
			}
		})
	}
}
