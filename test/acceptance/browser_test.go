package acceptance

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"weelo/internal/servertest"
)

// TestABrowserSeesTheDemoFleet: `weelo dev` on an empty folder, and a real browser on its first page
// sees the simulated fleet move.
func TestABrowserSeesTheDemoFleet(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, environment(), "dev", "--dir", t.TempDir())
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.Flag("enable-unsafe-swiftshader", true), chromedp.Flag("use-gl", "angle"), chromedp.Flag("use-angle", "swiftshader"),
		chromedp.WindowSize(1100, 700), chromedp.UserDataDir(t.TempDir()),
	)
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocated)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(s.Base+"/")); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ what, condition string }{
		{"a live socket", `window.weelo && weelo.state() === "live"`},
		{"trucks", `weelo.trucks().length >= 5`},
		{"trucks on the canvas", `weelo.drawn() >= 5`},
		{"their coordinates", `(window.before = Object.fromEntries(weelo.trucks().map(t => [t.trip, t.lat + "," + t.lng]))) !== null`},
		{"five trucks that moved", `weelo.trucks().filter(t => before[t.trip] && before[t.trip] !== t.lat + "," + t.lng).length >= 5`},
		{"fresh positions", `weelo.trucks().filter(t => !t.stale && t.ageMs < 30000).length >= 5`},
	} {
		limited, cancel := context.WithTimeout(ctx, 100*time.Second)
		err := chromedp.Do(limited, chromedp.Poll[chromedp.Void]("!!("+step.condition+") || null",
			chromedp.WithPollingTimeout(90*time.Second), chromedp.WithPollingInterval(100*time.Millisecond)))
		cancel()
		if err != nil {
			t.Fatalf("the browser does not see %s: %v", step.what, err)
		}
	}
}
