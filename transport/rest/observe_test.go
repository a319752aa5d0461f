package rest_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weelo/transport/rest"
)

// TestInventedMethodsAddNoSeries sends methods that nobody else has: they share one series.
func TestInventedMethodsAddNoSeries(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	a := rest.New(rest.Config{
		Version: "test", Tokens: testMint(t), Revoked: func(string) bool { return false },
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Metrics: reg,
	})
	for _, method := range []string{"AAA1", "AAA2", "AAA3", "get", "GET", "POST"} {
		for _, path := range []string{"/api/v1/nothing", "/x"} {
			a.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, path, nil))
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "route" && f.GetName() == "weelo_http_requests_total" {
					method, _, _ := strings.Cut(l.GetValue(), " ")
					series[method] += int(m.GetCounter().GetValue())
				}
			}
		}
	}
	if len(series) != 3 || series["_OTHER"] != 8 || series["GET"] != 2 || series["POST"] != 2 {
		t.Errorf("requests by method: %v, want 8 _OTHER, 2 GET, 2 POST", series)
	}
}
