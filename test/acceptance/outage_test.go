package acceptance

import (
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"weelo/internal/client"
	"weelo/internal/servertest"
)

// TestHealthNamesWhatIsAway kills the stores under a running serve. Without Redis it is degraded and
// stays in service; without Postgres it is out of service, refuses politely, and comes back by itself.
func TestHealthNamesWhatIsAway(t *testing.T) {
	t.Parallel()
	database, cache := servertest.PrivatePostgres(t), servertest.PrivateRedis(t)
	st := twoStores{database: database.Database(t), redis: cache.URL()}
	s := &stage{name: "serve", args: []string{"serve"}}
	s.smsFile = filepath.Join(t.TempDir(), "sms.jsonl")
	s.environ = serveEnvironment(t, st, "PORT="+strconv.Itoa(freePort(t)), "SMS_PROVIDER=file:"+s.smsFile)
	s.start(t)

	is := func(what, status string, code int, failing ...string) {
		t.Helper()
		var health struct {
			Status  string
			Failing []string
		}
		var got int
		eventually(t, 30*time.Second, what+": health is "+status, func() bool {
			res, err := http.Get(s.server.Base + "/health")
			if err != nil {
				return false
			}
			defer res.Body.Close()
			got = res.StatusCode
			return json.NewDecoder(res.Body).Decode(&health) == nil && health.Status == status
		})
		if got != code || !slices.Equal(health.Failing, append([]string{}, failing...)) {
			t.Errorf("%s: %d, failing %v", what, got, health.Failing)
		}
	}
	refusedPolitely := func(what string) {
		t.Helper()
		err := s.api("").SendOTP(t.Context(), "7020000000", "customer")
		var refused *client.APIError
		if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: a code was asked for: %v", what, err)
		}
	}
	is("all there", "healthy", http.StatusOK)
	cache.Kill(t)
	is("Redis killed", "degraded", http.StatusOK, "redis")
	refusedPolitely("Redis killed")
	cache.Start(t)
	is("Redis back", "healthy", http.StatusOK)
	database.Kill(t)
	is("Postgres killed", "unhealthy", http.StatusServiceUnavailable, "database")
	database.Start(t)
	is("Postgres back", "healthy", http.StatusOK)

	seen := len(lines(s.smsFile))
	if err := s.api("").SendOTP(t.Context(), "7020000000", "customer"); err != nil {
		t.Fatalf("after both came back: %v", err)
	}
	if _, _, err := s.api("").VerifyOTP(t.Context(), "7020000000", "customer", s.code(t, "7020000000", seen)); err != nil {
		t.Errorf("login after both came back: %v", err)
	}
}
