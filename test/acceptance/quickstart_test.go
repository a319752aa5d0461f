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
	cmd.Dir = "../.." // the page is read in the repository's folder
	cmd.Env = append(os.Environ(), "API="+s.server.Base+"/api/v1", "DIR="+filepath.Dir(s.smsFile), "FIXES=5")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := string(out)
	for _, want := range []string{`"driver_accepted"`, `"status":"completed"`} {
		if !strings.Contains(said, want) {
			t.Errorf("no %s in what it prints", want)
		}
	}
	if strings.Contains(said, `"success":false`) || strings.Count(said, `"accepted":1`) != 5 || !strings.Contains(said, "\n5\n") {
		t.Error("five positions are sent, and five are to be in history; nothing is refused")
	}
	if t.Failed() {
		t.Log(said)
	}
}
