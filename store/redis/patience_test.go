package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/servertest"
)

// hung is a server that does not answer the first commands, and fails the next as it is told.
type hung struct {
	silent int
	fate   error
	asked  []time.Duration // how long each was given
}

func (h *hung) answer(ctx context.Context) error {
	until, _ := ctx.Deadline()
	h.asked = append(h.asked, time.Until(until))
	if len(h.asked) > h.silent {
		return h.fate
	}
	<-ctx.Done()
	return fmt.Errorf("read: %w", ctx.Err())
}

// TestPatience: every command has its time and a pipeline four times that; what only reads is tried once more when its
// server did not answer or went away; what counts is not, nor what was refused, nor for whoever left.
func TestPatience(t *testing.T) {
	t.Parallel()
	const each = 100 * time.Millisecond
	get, count, eval := []any{"GET", "k"}, []any{"INCR", "k"}, []any{"EVALSHA", "…", 1, "k"}
	once, both := []time.Duration{each}, []time.Duration{each, each}
	whole := func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithCancel(ctx) }
	scripted := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithCancel(reading(ctx))
	}
	brief := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, each/4)
	}
	for name, c := range map[string]struct {
		with     func(context.Context) (context.Context, context.CancelFunc)
		commands [][]any // more than one: a pipeline
		server   hung
		given    []time.Duration
		ok       bool
	}{
		"a read":                              {whole, [][]any{get}, hung{}, once, true},
		"a read that is answered late":        {whole, [][]any{get}, hung{silent: 1}, both, true},
		"a read that is never answered":       {whole, [][]any{get}, hung{silent: 9}, both, false},
		"a read whose server went away":       {whole, [][]any{get}, hung{fate: io.EOF}, both, false},
		"a read that is refused":              {whole, [][]any{get}, hung{fate: errors.New("WRONGTYPE")}, once, false},
		"a key that is not there":             {whole, [][]any{get}, hung{fate: goredis.Nil}, once, false},
		"a server that is left alone":         {whole, [][]any{get}, hung{fate: errAway}, once, false},
		"a count":                             {whole, [][]any{count}, hung{silent: 1}, once, false},
		"a script":                            {whole, [][]any{eval}, hung{silent: 1}, once, false},
		"a script that only looks":            {scripted, [][]any{eval}, hung{silent: 1}, both, true},
		"whoever has less time":               {brief, [][]any{get}, hung{silent: 1}, []time.Duration{each / 4}, false},
		"a batch of reads":                    {whole, [][]any{get, {"HGETALL", "k"}}, hung{silent: 1}, []time.Duration{4 * each, 4 * each}, true},
		"a batch with a script":               {whole, [][]any{get, eval}, hung{silent: 1}, []time.Duration{4 * each}, false},
		"a batch of scripts that only look":   {scripted, [][]any{eval, eval}, hung{silent: 1}, []time.Duration{4 * each, 4 * each}, true},
		"a transaction, whatever it contains": {whole, [][]any{{"MULTI"}, get, {"EXEC"}}, hung{silent: 1}, []time.Duration{4 * each}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := c.with(t.Context())
			defer cancel()
			var cmds []goredis.Cmder
			for _, args := range c.commands {
				cmds = append(cmds, goredis.NewCmd(ctx, args...))
			}
			server, err := &c.server, error(nil)
			if len(cmds) == 1 {
				err = patience{each}.ProcessHook(func(ctx context.Context, _ goredis.Cmder) error { return server.answer(ctx) })(ctx, cmds[0])
			} else {
				err = patience{each}.ProcessPipelineHook(func(ctx context.Context, _ []goredis.Cmder) error { return server.answer(ctx) })(ctx, cmds)
			}
			if (err == nil) != c.ok || !slices.Equal(server.asked, c.given) {
				t.Errorf("%s: given %v, want %v; %v", name, server.asked, c.given, err)
			}
		})
	}
}

// TestReadsChangeNothing: what is tried twice is what Redis itself calls a read, or a question about itself.
func TestReadsChangeNothing(t *testing.T) {
	t.Parallel()
	client, err := Open(t.Context(), servertest.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	for _, name := range reads {
		info, err := client.Do(t.Context(), "COMMAND", "INFO", name).Slice()
		if err != nil || len(info) != 1 {
			t.Fatalf("%s: %v, %v", name, info, err)
		}
		flags := fmt.Sprint(info[0].([]any)[2])
		itself := slices.Contains([]string{"time", "ping", "info"}, name)
		if itself == strings.Contains(flags, "readonly") || strings.Contains(flags, "write") {
			t.Errorf("%s is %s", name, flags)
		}
	}
}
