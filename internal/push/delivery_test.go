package push_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/notify"
	"weelo/internal/nudge"
	"weelo/internal/push"
)

// book keeps phones in memory.
type book struct {
	tokens    []string
	forgotten []string
	err       error
}

func (b *book) Register(context.Context, push.Phone) error             { return nil }
func (b *book) Unregister(context.Context, fleet.UserID, string) error { return nil }
func (b *book) Sweep(context.Context, time.Time, int) (int, error)     { return 0, nil }
func (b *book) Tokens(context.Context, fleet.UserID, time.Time) ([]string, error) {
	return b.tokens, b.err
}
func (b *book) Forget(_ context.Context, token string, _ time.Time) error {
	b.forgotten = append(b.forgotten, token)
	return nil
}

// provider answers by token, and remembers what it took and what it was asked.
type provider struct {
	mu     sync.Mutex
	answer map[string]error
	asked  []push.Message
}

func (p *provider) Send(_ context.Context, m push.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, m)
	return p.answer[m.Token]
}

func (p *provider) tokens() []string {
	var out []string
	for _, m := range p.asked {
		out = append(out, m.Token)
	}
	return out
}

func note(id string, deadline time.Time) ledger.Message {
	return nudge.Push{Type: "trip_assigned", Title: "New trip", Body: "A to B", Data: map[string]string{"tripId": "t1"}, Urgent: true, Tag: "trip:t1"}.
		Message(id, "driver-1", deadline)
}

// TestDelivery: which phones are asked, which are forgotten, and whether the message is settled.
func TestDelivery(t *testing.T) {
	t.Parallel()
	busy := fmt.Errorf("%w: status 503", push.ErrTemporary)
	for _, c := range []struct {
		name      string
		tokens    []string
		answer    map[string]error
		deadline  time.Duration
		asked     []string
		forgotten []string
		settled   bool
	}{
		{"every phone rings", []string{"a", "b"}, nil, time.Minute, []string{"a", "b"}, nil, true},
		{"no phone", nil, nil, time.Minute, nil, nil, true},
		{"one is gone", []string{"a", "b"}, map[string]error{"a": push.ErrGone}, time.Minute, []string{"a", "b"}, []string{"a"}, true},
		{"all are gone", []string{"a"}, map[string]error{"a": push.ErrGone}, time.Minute, []string{"a"}, []string{"a"}, true},
		{"refused is for good", []string{"a"}, map[string]error{"a": push.ErrRefused}, time.Minute, []string{"a"}, nil, true},
		{"down", []string{"a", "b"}, map[string]error{"a": busy, "b": busy}, time.Minute, []string{"a", "b"}, nil, false},
		{"one has it, another does not: it does not ring twice", []string{"a", "b"}, map[string]error{"b": busy}, time.Minute, []string{"a", "b"}, nil, true},
		{"too late", []string{"a"}, nil, 0, nil, nil, false},
	} {
		phones, sender := &book{tokens: c.tokens}, &provider{answer: c.answer}
		var log bytes.Buffer
		d := push.NewDelivery(phones, sender, func() time.Time { return noon }, slog.New(slog.NewTextHandler(&log, nil)), nil)
		err := d.Deliver(t.Context(), note("1", noon.Add(c.deadline)))
		if (err == nil) != c.settled || errors.Is(err, notify.ErrHopeless) {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff([][]string{c.asked, c.forgotten}, [][]string{sender.tokens(), phones.forgotten}); diff != "" {
			t.Errorf("%s: asked and forgotten (-want +got):\n%s", c.name, diff)
		}
	}
	d := push.NewDelivery(&book{}, &provider{}, func() time.Time { return noon }, slog.New(slog.DiscardHandler), nil)
	if err := d.Deliver(t.Context(), ledger.Message{Body: []byte(`[]`)}); !errors.Is(err, notify.ErrHopeless) {
		t.Errorf("a message that is none: %v", err)
	}
	d = push.NewDelivery(&book{err: errors.New("away")}, &provider{}, func() time.Time { return noon }, slog.New(slog.DiscardHandler), nil)
	if err := d.Deliver(t.Context(), note("1", noon.Add(time.Minute))); err == nil || errors.Is(err, notify.ErrHopeless) {
		t.Errorf("phones that cannot be read: %v", err)
	}
}

// TestDeliveryDressesForTheApp: channel, full screen, priority, and a life that ends at the deadline.
func TestDeliveryDressesForTheApp(t *testing.T) {
	t.Parallel()
	sender := &provider{}
	d := push.NewDelivery(&book{tokens: []string{"secret-token"}}, sender, func() time.Time { return noon }, slog.New(slog.DiscardHandler), nil)
	if err := d.Deliver(t.Context(), note("1", noon.Add(42*time.Second))); err != nil {
		t.Fatal(err)
	}
	want := []push.Message{{
		Token: "secret-token", Title: "New trip", Body: "A to B", Data: map[string]string{"type": "trip_assigned", "tripId": "t1", "fullScreen": "true"},
		Channel: "trips", HighPriority: true, Tag: "trip:t1", TTL: 42 * time.Second,
	}}
	if diff := cmp.Diff(want, sender.asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("sent", "message", want[0])
	if printed := log.String() + fmt.Sprintf("%v %+v %#v", want[0], want[0], want[0]); strings.Contains(printed, "secret") {
		t.Errorf("leaks: %s", printed)
	}
}

// TestDeliveryLeavesAFailingProviderAlone: after so many failures it is asked only now and then, and no
// token is in the log.
func TestDeliveryLeavesAFailingProviderAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sender := &provider{answer: map[string]error{"secret-token": push.ErrTemporary}}
		var log bytes.Buffer
		d := push.NewDelivery(&book{tokens: []string{"secret-token"}}, sender, time.Now, slog.New(slog.NewTextHandler(&log, nil)), nil)
		for i := range 40 {
			if err := d.Deliver(t.Context(), note(fmt.Sprint(i), time.Now().Add(time.Hour))); !errors.Is(err, push.ErrTemporary) {
				t.Fatal(err)
			}
		}
		if len(sender.asked) != 20 || strings.Contains(log.String(), "secret") || !strings.Contains(log.String(), "pauses") {
			t.Errorf("asked %d times, log %s", len(sender.asked), &log)
		}
		sender.answer = nil
		<-time.After(11 * time.Second)
		for range 2 {
			if err := d.Deliver(t.Context(), note("up", time.Now().Add(time.Hour))); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "push.jsonl")
	f := push.NewFile(path, func() time.Time { return noon })
	for range 2 {
		if err := f.Send(t.Context(), offer); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []push.Line
	for s := bufio.NewScanner(file); s.Scan(); {
		var l push.Line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	want := push.Line{
		At: "2026-11-24T12:00:00.000Z", Token: offer.Token, Title: offer.Title, Body: offer.Body, Data: offer.Data,
		Channel: "broadcasts_v2", Priority: "high", Tag: offer.Tag, TTLMS: offer.TTL.Milliseconds(),
	}
	if diff := cmp.Diff([]push.Line{want, want}, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := push.NewFile(t.TempDir(), time.Now).Send(t.Context(), offer); !errors.Is(err, push.ErrTemporary) {
		t.Errorf("a folder: %v", err)
	}
}
