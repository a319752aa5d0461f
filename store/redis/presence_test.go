package redis_test

import (
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/fleet"
	"weelo/internal/presence"
	"weelo/internal/servertest"
	"weelo/store/memory"
	"weelo/store/redis"
	"weelo/store/storetest"
)

// modes are the two kinds of server a task may find. Each gives a client of an empty one.
var modes = map[string]func(t *testing.T) goredis.UniversalClient{
	"single": func(t *testing.T) goredis.UniversalClient {
		o, err := goredis.ParseURL(servertest.Redis(t))
		if err != nil {
			t.Fatal(err)
		}
		return closing(t, goredis.NewClient(o))
	},
	"cluster": func(t *testing.T) goredis.UniversalClient {
		o, err := goredis.ParseClusterURL(servertest.RedisCluster(t))
		if err != nil {
			t.Fatal(err)
		}
		return closing(t, goredis.NewClusterClient(o))
	},
}

func closing(t *testing.T, c goredis.UniversalClient) goredis.UniversalClient {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestPresence(t *testing.T) {
	t.Parallel()
	for mode, open := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			storetest.Presence(t, func(t *testing.T) presence.Store { return redis.NewPresence(open(t)) })
		})
	}
}

func TestPresenceAgreesWithTheModel(t *testing.T) {
	t.Parallel()
	storetest.PresenceAgrees(t, redis.NewPresence(modes["single"](t)), memory.NewPresence())
}

func TestPositions(t *testing.T) {
	t.Parallel()
	for mode, open := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			storetest.Positions(t, func(t *testing.T) presence.Positions { return redis.NewPositions(open(t)) })
		})
	}
}

func TestAMalformedPositionIsAnError(t *testing.T) {
	t.Parallel()
	client := modes["single"](t)
	for _, raw := range []string{"", "1|2", "1|2|x|4|5|6|7|0", "x|2|3|4|5|6|7|0", "1|2|3|4|5|6|7|8|9"} {
		if err := client.HSet(t.Context(), fmt.Sprintf("position:%d", presence.Bucket("d1")), "d1", raw).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := redis.NewPositions(client).Last(t.Context(), []fleet.UserID{"d1"}, time.UnixMilli(0)); err == nil {
			t.Errorf("%q read as %v", raw, got)
		}
	}
}
