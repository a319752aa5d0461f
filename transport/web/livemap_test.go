package web

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// page is the live map in a headless Chromium that draws WebGL in software.
type page struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

func openPage(t *testing.T, url string) *page {
	t.Helper()
	width, height := 1100, 700 // every pixel is drawn by the processor
	if os.Getenv("WEELO_SHOTS") != "" {
		width, height = 1440, 900
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.Flag("enable-unsafe-swiftshader", true), chromedp.Flag("use-gl", "angle"), chromedp.Flag("use-angle", "swiftshader"),
		chromedp.WindowSize(width, height), chromedp.UserDataDir(t.TempDir()),
	)
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	p := &page{t: t, ctx: ctx}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // starts the browser, on a context without an end
		t.Fatal(err)
	}
	console := chromedp.Console(ctx)
	go func() {
		for m, err := range console {
			if err != nil {
				return // the page is gone
			}
			if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException {
				p.mu.Lock()
				p.complaints = append(p.complaints, m.Text+" "+m.URL)
				p.mu.Unlock()
			}
		}
	}()
	p.do("open", chromedp.Navigate(url))
	return p
}

func (p *page) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.complaints...)
}

func (p *page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 90*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v; the browser says %q", what, err, p.said())
	}
}

// until waits until a JavaScript condition holds.
func (p *page) until(what, condition string) {
	p.t.Helper()
	p.do(what, chromedp.Poll[chromedp.Void]("!!("+condition+") || null", chromedp.WithPollingTimeout(time.Minute), chromedp.WithPollingInterval(100*time.Millisecond)))
}

func read[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v; the browser says %q", expression, err, p.said())
	}
	return value
}

// shot keeps a picture when WEELO_SHOTS names a folder, for a person to look at.
func (p *page) shot(name string) {
	p.t.Helper()
	folder := os.Getenv("WEELO_SHOTS")
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name), picture, 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// drives moves every truck on twice a second until the test ends.
func (w *town) drives() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for step := 1; ; step++ {
			w.drive(step)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	w.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// TestABrowserSeesTheTrucksMove is the live map as a person has it: a real browser, the real socket.
func TestABrowserSeesTheTrucksMove(t *testing.T) {
	t.Parallel()
	w := newTown(t, nil)
	w.addTrucks(24)
	w.drives()
	p := openPage(t, w.url+"/")

	p.until("the socket is live", `window.weelo && weelo.state() === "live"`)
	p.until("every truck is known", `weelo.trucks().length === 24`)
	p.until("every truck is on the canvas", `weelo.drawn() === 24`)
	read[string](p, `window.before = Object.fromEntries(weelo.trucks().map(t => [t.trip, t])); JSON.stringify(before)`)
	p.until("every truck has moved", `weelo.trucks().every(t => t.lat !== before[t.trip].lat && t.lng !== before[t.trip].lng)`)
	p.until("no position is old", `weelo.trucks().every(t => !t.stale && t.ageMs < 20000 && t.heading > 0)`)
	if rows := read[int](p, `document.querySelectorAll("#trips .trip").length`); rows != 24 {
		t.Errorf("%d rows", rows)
	}
	p.shot("map.png")

	p.do("click a trip", chromedp.Click(chromedp.CSS(`#trips li:nth-child(3) .trip`)))
	p.until("its timeline", `document.querySelectorAll("#timeline li").length === 6`)
	p.until("the age of its position", `/just now|\d+ s ago/.test(document.getElementById("c-age").textContent)`)
	p.until("the map has flown there", `weelo.still() && weelo.drawn() > 0`)
	p.shot("card.png")

	p.do("search", chromedp.SendKeys(chromedp.CSS(`#search`), "bold"))
	p.until("what was searched", `document.querySelectorAll("#trips .trip").length === 3`)
	p.do("click", chromedp.Click(chromedp.CSS(`#trips li:nth-child(1) .trip`)))
	p.until("a name with markup, as text", `document.getElementById("c-who").textContent.startsWith("<b>Bold</b> Raju")`)
	if markup := read[string](p, `document.querySelector("#card").innerHTML + document.querySelector("#trips").innerHTML`); strings.Contains(markup, "<b>Bold") {
		t.Error("a name became markup")
	}
	if said := p.said(); len(said) > 0 {
		t.Errorf("the browser complains: %q", said)
	}
}

// TestTheMapFollowsAndComesBack: a new trip appears, one that ends says so, and after the socket was
// lost the page finds its way back by itself.
func TestTheMapFollowsAndComesBack(t *testing.T) {
	t.Parallel()
	w := newTown(t, nil)
	w.addTrucks(2)
	p := openPage(t, w.url+"/")
	p.until("two trips", `window.weelo && weelo.trucks().length === 2`)
	w.addTrucks(1)
	w.mu.Lock()
	w.views[2].TripID = "70000000-0000-4000-8000-000000000099"
	w.views[2].Vehicle.Number = "MH12NEW0001"
	w.mu.Unlock()
	w.change(2, "pending")
	p.until("a third trip", `[...document.querySelectorAll("#trips .plate")].some(e => e.textContent === "MH12NEW0001")`)
	p.until("it waits", `document.getElementById("n-waiting").textContent === "1"`)
	w.change(0, "completed")
	p.until("a trip that ended", `[...document.querySelectorAll("#trips .to")].some(e => e.textContent.startsWith("Completed"))`)

	w.hub.Disconnect("ops", "", 1012, "restart")
	p.until("the loss is shown", `weelo.state() !== "live"`)
	p.until("it is back", `weelo.state() === "live"`)
	w.drive(500)
	p.until("positions again", `weelo.trucks().some(t => t.trip.endsWith("02") && t.ageMs < 60000)`)
}

// TestThePagesOwnRules runs the tests of the modules that need no browser.
func TestThePagesOwnRules(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", "--test", filepath.Join("jstest", "fleet.test.mjs")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
