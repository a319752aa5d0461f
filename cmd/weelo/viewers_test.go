package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weelo/internal/servertest"
	"weelo/internal/share"
	"weelo/internal/token"
	"weelo/store/redis"
	"weelo/transport/hub"
)

// mute is a codec of sockets that are told nothing.
type mute struct{ hub.Codec }

func (mute) Format() string { return "mute" }

// wire of a socket that remembers how it was closed.
type closable struct{ code atomic.Int64 }

func (c *closable) Write([]byte) error       { return nil }
func (c *closable) Close(code int, _ string) { c.code.CompareAndSwap(0, int64(code)) }

// follow opens n sockets of a link on a task.
func follow(h *house, prefix string, n int) []*closable {
	list := make([]*closable, n)
	for i := range list {
		list[i] = &closable{}
		who := token.Identity{UserID: token.ViewersOf("link"), Role: token.Viewer, SessionID: "link", Device: fmt.Sprint(prefix, i)}
		h.hub.Attach(hub.Attachment{Identity: who, Codec: mute{}, Transport: list[i]})
	}
	return list
}

// TestViewersOfALinkOnTwoTasks: of more than twenty on both together the oldest are closed, and no others.
func TestViewersOfALinkOnTwoTasks(t *testing.T) {
	t.Parallel()
	client, err := redis.Open(t.Context(), servertest.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	open := func() *house {
		h := &house{hub: hub.New(hub.Config{Log: slog.New(slog.DiscardHandler)})}
		running.Go(func() {
			_ = share.NewUsher(redis.NewSeats(client), hub.MaxViewers, h.following, time.Now, slog.New(slog.DiscardHandler)).Run(ctx)
		})
		return h
	}
	seated := func(n int64) bool {
		got, err := client.ZCard(t.Context(), "share:viewers:link").Result()
		return err == nil && got == n
	}
	wait := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !ok(); <-time.After(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("not within two minutes: ", what)
			}
		}
	}
	one, other := open(), open()
	old := follow(one, "a", 15)
	wait("15 seats are taken", func() bool { return seated(15) })
	young := follow(other, "b", 10)
	closed := func(list []*closable) (names []int) {
		for i, c := range list {
			if c.code.Load() == hub.CodeReplaced {
				names = append(names, i)
			}
		}
		return names
	}
	wait("five are closed", func() bool { return len(closed(old)) >= 5 })
	if got := closed(old); !slices.Equal(got, []int{0, 1, 2, 3, 4}) || len(closed(young)) != 0 {
		t.Errorf("closed: %v of the old, %v of the young", got, closed(young))
	}
}
