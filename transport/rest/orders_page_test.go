package rest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestThePageNamesEveryCall: docs/orders-api.md has each call of orders, bookings, offers and holds, and
// no other.
func TestThePageNamesEveryCall(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/orders-api.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	y := newYard(t)
	res, err := http.Get(y.URL() + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct{ Tags []string }
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	calls := 0
	for path, methods := range doc.Paths {
		for method, call := range methods {
			if len(call.Tags) != 1 || !slices.Contains([]string{"orders", "bookings", "broadcasts", "holds"}, call.Tags[0]) {
				continue
			}
			calls++
			name := "`" + strings.ToUpper(method) + " " + strings.TrimPrefix(path, "/api/v1/") + "`"
			if method != "delete" && !strings.Contains(page, name) {
				t.Errorf("%s is not on the page", name)
			}
		}
	}
	named := 0
	for line := range strings.Lines(page) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		for _, method := range []string{"`GET ", "`POST ", "`PATCH "} {
			named += strings.Count(first, method)
		}
	}
	if deleted, tracked := 2, 2; named != calls-deleted+tracked { // DELETE is named with POST; tracking/booking is another tag
		t.Errorf("the page names %d calls, the document has %d", named, calls-deleted+tracked)
	}
}
