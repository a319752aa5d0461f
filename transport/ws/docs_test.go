package ws_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheProtocolPageNamesEveryCode: a client is written from docs/protocol.md.
func TestTheProtocolPageNamesEveryCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, native, _ := strings.Cut(string(text), "## Close codes")
	native, _, found := strings.Cut(native, "## REST")
	if !found {
		t.Fatal("docs/protocol.md has lost its sections")
	}
	closes, refusals, _ := strings.Cut(native, "## Codes of")
	for _, code := range []string{"1009", "1011", "1012", "1013", "4400", "4401", "4403", "4408", "4409", "4410", "4429"} {
		if !strings.Contains(closes, "| "+code+" |") {
			t.Errorf("close code %s is not described", code)
		}
	}
	for _, code := range []string{
		"NOT_FOUND", "FORBIDDEN", "VALIDATION_ERROR", "UNKNOWN_TYPE", "ALREADY_AUTHENTICATED", "INVALID_TOKEN", "TOKEN_EXPIRED",
		"RATE_LIMITED", "TOO_MANY_WATCHES", "WATCH_EXISTS", "NOT_SYNCED", "REPLAY_UNAVAILABLE", "UNAVAILABLE", "INTERNAL_ERROR",
	} {
		if !strings.Contains(refusals, "`"+code+"`") {
			t.Errorf("%s is not described", code)
		}
	}
	if strings.Contains(refusals, "`MALFORMED`") {
		t.Error("MALFORMED is described as an error frame; it is close code 4400")
	}
}
