package redis_test

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/servertest"
	"weelo/store/redis"
)

// A witness says once, to each task, that what was counted is gone; and nothing at its first look.
func TestWitness(t *testing.T) {
	t.Parallel()
	for mode, open := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			client := open(t)
			one, other := redis.NewWitness(client), redis.NewWitness(client)
			says := func(when, want string) {
				t.Helper()
				for who, w := range map[string]*redis.Witness{"one": one, "the other": other} {
					if why, err := w.Changed(t.Context()); why != want || err != nil {
						t.Errorf("%s, %s says %q, %v", when, who, why, err)
					}
				}
			}
			says("at first", "")
			says("later", "")
			if err := client.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			says("after the flush", "emptied")
			says("later", "")
		})
	}
}

// Another server under the old address, with what was copied to it, is another one.
func TestWitnessOfAnotherServer(t *testing.T) {
	t.Parallel()
	server := servertest.PrivateRedis(t)
	client := closing(t, goredis.NewClient(&goredis.Options{Addr: server.Addr(), Protocol: 2}))
	w := redis.NewWitness(client)
	if why, err := w.Changed(t.Context()); why != "" || err != nil {
		t.Fatalf("%q, %v", why, err)
	}
	word := client.Get(t.Context(), "weelo:witness").Val()
	server.Kill(t)
	if why, err := w.Changed(t.Context()); why != "" || err == nil {
		t.Errorf("of a server that is away: %q, %v", why, err)
	}
	server.Start(t)
	if err := client.Set(t.Context(), "weelo:witness", word, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if why, err := w.Changed(t.Context()); why != "another server" || err != nil {
		t.Errorf("%q, %v", why, err)
	}
	if why, err := w.Changed(t.Context()); why != "" || err != nil {
		t.Errorf("later: %q, %v", why, err)
	}
}
