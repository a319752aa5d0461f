package acceptance

import (
	"bufio"
	"os"
	"slices"
	"testing"
	"time"

	"weelo/internal/servertest"
)

// environment is what every child gets, and nothing else: no variable of the machine reaches it.
func environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "PORT=0", "ADMIN_ADDR=127.0.0.1:0"}, more...)
}

func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	servertest.Eventually(t, limit, what, ok)
}

// lines reads the whole lines of a file; none when it is not there.
func lines(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		out = append(out, sc.Text())
	}
	return slices.Clip(out)
}
