package redis

import (
	"context"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/servertest"
)

// TestRoll: tasks count each other, one that leaves or is not heard of any more is not counted, and the list does not
// outlive them.
func TestRoll(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"single": servertest.Redis(t), "cluster": servertest.RedisCluster(t)} {
		client, err := Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		beat := func(r *Roll, want int) {
			t.Helper()
			if n, err := r.Beat(t.Context()); n != want || err != nil {
				t.Errorf("%s: %d tasks, %v; want %d", name, n, err, want)
			}
		}
		a, b, gone := NewRoll(client, "a"), NewRoll(client, "b"), NewRoll(client, "gone")
		beat(a, 1)
		beat(a, 1)
		beat(b, 2)
		beat(gone, 3)
		// One that was last heard of too long ago, by Redis's clock.
		now, err := client.Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		old := goredis.Z{Score: float64(now.Add(-RollLife - time.Second).UnixMilli()), Member: "gone"}
		if err := client.ZAdd(t.Context(), rollKey, old).Err(); err != nil {
			t.Fatal(err)
		}
		beat(a, 2)
		if err := b.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		beat(a, 1)
		if left, err := client.PTTL(t.Context(), rollKey).Result(); err != nil || left <= 0 || left > RollLife {
			t.Errorf("%s: the list lives for %v, %v", name, left, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Beat(ended); err == nil || a.Leave(ended) == nil {
			t.Errorf("%s: no error of a call that was called off", name)
		}
	}
}
