package socketio

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const jsFolder = "jsclient"

// installJS puts the official client into jsclient/node_modules once per test run, exactly as
// package-lock.json pins it. There is no skipping: without Node the tests of this package fail.
var installJS = sync.OnceValue(func() error {
	if _, err := os.Stat(filepath.Join(jsFolder, "node_modules", "socket.io-client", "package.json")); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = jsFolder
	if out, err := cmd.CombinedOutput(); err != nil {
		return &installError{output: out, err: err}
	}
	return nil
})

type installError struct {
	output []byte
	err    error
}

func (e *installError) Error() string { return e.err.Error() + ": " + string(e.output) }

// node prepares a script of jsclient/scripts; it is killed when the test's context ends.
func node(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	if err := installJS(); err != nil {
		t.Fatalf("install the JavaScript client: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", append([]string{filepath.Join("scripts", script)}, args...)...)
	cmd.Dir = jsFolder
	return cmd
}

// runNode runs a script to its end with an input and gives its output.
func runNode(t *testing.T, script string, input []byte, args ...string) []byte {
	t.Helper()
	cmd := node(t, script, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", script, err, stderr.Bytes())
	}
	return out
}
