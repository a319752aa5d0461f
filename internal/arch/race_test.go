package arch

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOnlyTheDetectorsOwnFailureIsRunAgain plays `go test` for tools/race-test: what it says, call by call.
func TestOnlyTheDetectorsOwnFailureIsRunAgain(t *testing.T) {
	t.Parallel()
	const (
		gaveUp = "ThreadSanitizer: CHECK failed: tsan_rtl.cpp:346 kEpochLast\nFAIL\tweelo/actors\t180.0s\nok  \tweelo/store/redis\t1.0s\nFAIL\n"
		fine   = "ok  \tweelo/actors\t1.0s\n"
	)
	for name, c := range map[string]struct {
		says []string // "" at its end: exit 0
		ok   bool
		runs []string // the packages of each run
	}{
		"all well":             {[]string{fine}, true, []string{"a b"}},
		"the detector gave up": {[]string{gaveUp, fine}, true, []string{"a b", "weelo/actors"}},
		"again and again":      {[]string{gaveUp, gaveUp, gaveUp, fine}, false, []string{"a b", "weelo/actors", "weelo/actors"}},
		"a test failed":        {[]string{"--- FAIL: TestX (0.00s)\nFAIL\tweelo/x\t1.0s\n", fine}, false, []string{"a b"}},
		"a test failed beside": {[]string{gaveUp + "    --- FAIL: TestX/y (0.00s)\nFAIL\tweelo/x\t1.0s\n", fine}, false, []string{"a b"}},
		"a race beside":        {[]string{"WARNING: DATA RACE\n" + gaveUp, fine}, false, []string{"a b"}},
		"a panic":              {[]string{"panic: test timed out after 20m0s\n" + gaveUp, fine}, false, []string{"a b"}},
		"it does not compile":  {[]string{"FAIL\tweelo/x [build failed]\n" + gaveUp, fine}, false, []string{"a b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for i, text := range c.says {
				if err := os.WriteFile(filepath.Join(dir, string(rune('1'+i))), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			// The n-th call says the n-th text, and fails when that has a FAIL in it.
			fake := "#!/bin/bash\ncd " + dir + "\nshift 7\necho \"$*\" >> calls\nn=$(wc -l < calls)\ncat \"$n\"\n! grep -q FAIL \"$n\"\n"
			if err := os.WriteFile(filepath.Join(dir, "go"), []byte(fake), 0o700); err != nil { //nolint:gosec // it is run
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, filepath.Join("..", "..", "tools", "race-test"), "a", "b")
			cmd.Env = append(os.Environ(), "GO="+filepath.Join(dir, "go"))
			out, err := cmd.CombinedOutput()
			if (err == nil) != c.ok {
				t.Errorf("ended with %v:\n%s", err, out)
			}
			calls, err := os.ReadFile(filepath.Join(dir, "calls"))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Split(strings.TrimSpace(string(calls)), "\n"); strings.Join(got, "|") != strings.Join(c.runs, "|") {
				t.Errorf("ran %q, want %q", got, c.runs)
			}
		})
	}
}
