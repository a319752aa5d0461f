package redis_test

import (
	"testing"
	"time"

	"weelo/internal/servertest"
	"weelo/store/redis"
)

// TestClock: the server's own time, single and in a cluster; none of a server that is away.
func TestClock(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"single": servertest.Redis(t), "cluster": servertest.RedisCluster(t)} {
		client, err := redis.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		clock := redis.NewClock(client)
		before := time.Now().Truncate(time.Microsecond)
		now, err := clock.Now(t.Context())
		if err != nil || now.Before(before) || now.After(time.Now()) {
			t.Errorf("%s: %v, asked at %v: %v", name, now, before, err)
		}
		_ = client.Close()
		if _, err := clock.Now(t.Context()); err == nil {
			t.Errorf("%s: a time without a server", name)
		}
	}
}
