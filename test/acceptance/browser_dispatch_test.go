package acceptance

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"weelo/internal/servertest"
)

// TestABrowserSeesOrdersDispatched: `weelo dev --speed 30` on an empty folder, and within two minutes a
// real browser on its first page sees orders searched for, the search widen, trucks held, confirmed, driven and
// orders completed.
func TestABrowserSeesOrdersDispatched(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, environment(), "dev", "--dir", t.TempDir(), "--speed", "30")
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
	limited, done := context.WithTimeout(ctx, 2*time.Minute)
	defer done()
	for _, step := range []struct{ what, condition string }{
		{"a live socket", `window.weelo && weelo.state() === "live"`},
		{"orders", `weelo.orders().length > 0`},
		{"orders being searched for", `weelo.seen().includes("searching")`},
		{"a search that widens", `weelo.seen().includes("widening")`},
		{"trucks that are held", `weelo.seen().includes("held")`},
		{"trucks that are confirmed", `weelo.seen().includes("confirmed")`},
		{"drivers who accept", `weelo.seen().includes("filled")`},
		{"orders that are driven", `weelo.seen().includes("in_progress")`},
		{"orders that are completed", `weelo.seen().includes("completed")`},
	} {
		err := chromedp.Do(limited, chromedp.Poll[chromedp.Void]("!!("+step.condition+") || null",
			chromedp.WithPollingTimeout(2*time.Minute), chromedp.WithPollingInterval(100*time.Millisecond)))
		if err != nil {
			seen, _ := chromedp.Run(ctx, chromedp.Evaluate[[]string](`weelo.seen()`))
			t.Fatalf("the browser does not see %s, but %v: %v", step.what, seen, err)
		}
	}
}
