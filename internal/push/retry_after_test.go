package push_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"weelo/internal/notify"
	"weelo/internal/push"
)

// TestFCMSaysWhenToComeAgain: Retry-After, in seconds or as a date, is told with the error, and never believed
// without bounds.
func TestFCMSaysWhenToComeAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		header string
		want   time.Duration
	}{
		{429, "7", 7 * time.Second},
		{503, "30", 30 * time.Second},
		{500, noon.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second},
		{429, "4000000000", time.Hour},
		{429, noon.Add(24 * time.Hour).Format(http.TimeFormat), time.Hour},
		{503, noon.Add(-time.Minute).Format(http.TimeFormat), 0},
		{503, "", 0}, {503, "0", 0}, {503, "-1", 0}, {503, "soon", 0}, {503, "1e9", 0}, {503, "99999999999999999999", 0},
		{404, "30", 0}, // refused: there is no next time
	} {
		g := newGoogle(t)
		g.answer = func(w http.ResponseWriter) { w.Header().Set("Retry-After", c.header); w.WriteHeader(c.status) }
		err := g.fcm(func() time.Time { return noon }).Send(t.Context(), offer)
		if kind := push.ErrTemporary; err == nil || errors.Is(err, kind) != (c.status != 404) || notify.WaitOf(err) != c.want {
			t.Errorf("%d %q: wait %v, %v", c.status, c.header, notify.WaitOf(err), err)
		}
	}
}

// TestFCMIsLeftAlone: a service that is unavailable gets nothing until it said so, but for a minute at most; a quota
// that is used up may be one phone's.
func TestFCMIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		header string
		quiet  time.Duration
	}{{503, "30", 30 * time.Second}, {503, "3000", time.Minute}, {503, "", 0}, {429, "30", 0}} {
		g, now := newGoogle(t), noon
		f := g.fcm(func() time.Time { return now })
		g.answer = func(w http.ResponseWriter) { w.Header().Set("Retry-After", c.header); w.WriteHeader(c.status) }
		if err := f.Send(t.Context(), offer); !errors.Is(err, push.ErrTemporary) {
			t.Fatal(err)
		}
		g.answer = nil
		if c.quiet > 0 {
			now = noon.Add(c.quiet - time.Second)
			if err := f.Send(t.Context(), offer); !errors.Is(err, push.ErrTemporary) || notify.WaitOf(err) != time.Second || len(g.got) != 1 {
				t.Errorf("%d %s: asked %d times, %v", c.status, c.header, len(g.got), err)
			}
		}
		now = noon.Add(c.quiet)
		if err := f.Send(t.Context(), offer); err != nil || len(g.got) != 2 {
			t.Errorf("%d %s: asked %d times after it, %v", c.status, c.header, len(g.got), err)
		}
	}
}

// TestFCMWithoutAccessForAWhile: the service that gives access tokens may ask to wait too.
func TestFCMWithoutAccessForAWhile(t *testing.T) {
	t.Parallel()
	g := newGoogle(t)
	g.oauth = func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "12")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if err := g.fcm(func() time.Time { return noon }).Send(t.Context(), offer); !errors.Is(err, push.ErrTemporary) || notify.WaitOf(err) != 12*time.Second {
		t.Error(err)
	}
}

// TestDeliveryTellsTheLongestWait: of a user's phones the one that wants to wait longest decides when all are tried again.
func TestDeliveryTellsTheLongestWait(t *testing.T) {
	t.Parallel()
	wait := func(d time.Duration) error {
		return &notify.NotBefore{Wait: d, Err: fmt.Errorf("%w: status 429", push.ErrTemporary)}
	}
	sender := &provider{answer: map[string]error{"a": wait(5 * time.Second), "b": wait(9 * time.Second), "c": push.ErrTemporary, "d": wait(time.Second)}}
	d := push.NewDelivery(&book{tokens: []string{"a", "b", "c", "d"}}, sender, func() time.Time { return noon }, slog.New(slog.DiscardHandler), nil)
	if err := d.Deliver(context.Background(), note("1", noon.Add(time.Minute))); notify.WaitOf(err) != 9*time.Second || len(sender.asked) != 4 {
		t.Errorf("%v after %d phones", err, len(sender.asked))
	}
}
