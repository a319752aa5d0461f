package limit_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"weelo/internal/limit"
)

// docs/limits.md has a row with the numbers of every limit.
func TestThePageHasEveryLimit(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range slices.Concat(limit.DefaultLogin().Limits(), limit.DefaultRequests().Limits()) {
		if row := fmt.Sprintf("| `%s` | %d per %s | %d |", l.Name, l.Events, l.Per, l.Burst); !strings.Contains(string(page), row) {
			t.Errorf("docs/limits.md has no row %s", row)
		}
	}
}
