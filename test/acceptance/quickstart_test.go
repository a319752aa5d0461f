package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestQuickstartIsTrue runs the shell blocks of docs/quickstart.md, top to bottom, against a fresh dev.
func TestQuickstartIsTrue(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/quickstart.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 5 {
		t.Fatalf("only %d shell blocks", len(blocks))
	}
	s := onDev(t)
	script := "set -euo pipefail\n"
	for _, b := range blocks {
		script += b[1]
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Env = append(os.Environ(), "BASE="+s.server.base, "DIR="+filepath.Dir(s.smsFile))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := string(out)
	for _, want := range []string{`"healthy"`, "trip ", `{"processed":1,"accepted":1,"duplicate":0,"stale":0,"invalid":0}`, `"in_transit"`} {
		if !strings.Contains(said, want) {
			t.Errorf("no %s in what it prints", want)
		}
	}
	if strings.Count(said, `"accepted":1`) != 5 || !strings.HasSuffix(strings.TrimSpace(said), "\n5") {
		t.Error("five positions were sent, and five are to be in history")
	}
	if t.Failed() {
		t.Log(said)
	}
}
