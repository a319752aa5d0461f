package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/otp"
	"weelo/internal/servertest"
	"weelo/internal/session"
	"weelo/store/redis"
	"weelo/store/storetest"
)

// waiting is the Advance of a real clock. Redis keeps a key through the millisecond in which it ends,
// and reads its clock once per turn of its loop: a little more is waited than asked for.
func waiting(d time.Duration) { <-time.After(d + 5*time.Millisecond) }

// moved is a Redis whose clock the test moves, for what must hold at the very instant.
func moved(t *testing.T) (goredis.UniversalClient, func() time.Time, func(time.Duration)) {
	t.Helper()
	m := miniredis.RunT(t)
	now := time.UnixMilli(1_795_521_600_000).UTC()
	m.SetTime(now)
	client := closing(t, goredis.NewClient(&goredis.Options{Addr: m.Addr(), MaxRetries: -1}))
	return client, func() time.Time { return now }, func(d time.Duration) {
		now = now.Add(d)
		m.SetTime(now)
		m.FastForward(d)
	}
}

func TestOTP(t *testing.T) {
	t.Parallel()
	for mode, open := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			storetest.OTP(t, func(t *testing.T) storetest.Clocked[otp.Store] {
				return storetest.Clocked[otp.Store]{Store: redis.NewOTP(open(t)), Advance: waiting, Real: true}
			})
		})
	}
	t.Run("moved clock", func(t *testing.T) {
		t.Parallel()
		storetest.OTP(t, func(t *testing.T) storetest.Clocked[otp.Store] {
			client, _, advance := moved(t)
			return storetest.Clocked[otp.Store]{Store: redis.NewOTP(client), Advance: advance}
		})
	})
}

// The scripts do what the pure core does, step by step.
func TestOTPModel(t *testing.T) {
	t.Parallel()
	storetest.OTPModel(t, func(t *testing.T) (storetest.Clocked[otp.Store], func() time.Time) {
		client, now, advance := moved(t)
		return storetest.Clocked[otp.Store]{Store: redis.NewOTP(client), Advance: advance}, now
	})
}

func TestOTPHistory(t *testing.T) {
	t.Parallel()
	for mode, open := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			storetest.OTPHistory(t, func(t *testing.T) otp.Store { return redis.NewOTP(open(t)) })
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for mode, open := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			storetest.Limits(t, func(t *testing.T) storetest.Clocked[otp.Limits] {
				return storetest.Clocked[otp.Limits]{Store: redis.NewLimits(open(t)), Advance: waiting, Real: true}
			})
		})
	}
	t.Run("moved clock", func(t *testing.T) {
		t.Parallel()
		storetest.Limits(t, func(t *testing.T) storetest.Clocked[otp.Limits] {
			client, _, advance := moved(t)
			return storetest.Clocked[otp.Limits]{Store: redis.NewLimits(client), Advance: advance}
		})
	})
}

func TestTickets(t *testing.T) {
	t.Parallel()
	for mode, open := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			storetest.Tickets(t, func(t *testing.T) storetest.Clocked[session.TicketStore] {
				return storetest.Clocked[session.TicketStore]{Store: redis.NewTickets(open(t)), Advance: waiting, Real: true}
			})
		})
	}
}

// The index has the keys that operators know, and forgets a session that ended.
func TestSessionIndex(t *testing.T) {
	t.Parallel()
	for mode, open := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			client := open(t)
			x := redis.NewSessionIndex(client)
			digest := strings.Repeat("ab", 32)
			if err := x.Put(t.Context(), "u1", "s1", digest, time.Hour); err != nil {
				t.Fatal(err)
			}
			if got, err := client.Get(t.Context(), "refresh:"+digest).Result(); got != "s1" || err != nil {
				t.Errorf("refresh: %q, %v", got, err)
			}
			if got, err := client.SMembers(t.Context(), "user:tokens:u1").Result(); len(got) != 1 || got[0] != "s1" || err != nil {
				t.Errorf("user:tokens: %v, %v", got, err)
			}
			for _, key := range []string{"refresh:" + digest, "user:tokens:u1"} {
				if ttl, err := client.TTL(t.Context(), key).Result(); ttl <= 0 || ttl > time.Hour || err != nil {
					t.Errorf("%s lives %v, %v", key, ttl, err)
				}
			}
			if err := x.Drop(t.Context(), "u1", "s1", []string{digest}); err != nil {
				t.Fatal(err)
			}
			if keys, err := client.Exists(t.Context(), "user:tokens:u1").Result(); keys != 0 || err != nil {
				t.Errorf("%d keys left, %v", keys, err)
			}
			if keys, err := client.Exists(t.Context(), "refresh:"+digest).Result(); keys != 0 || err != nil {
				t.Errorf("%d keys left, %v", keys, err)
			}
		})
	}
}

// Open finds out by itself what it talks to.
func TestOpen(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"single": servertest.Redis(t), "cluster": servertest.RedisCluster(t)} {
		client, err := redis.Open(t.Context(), url)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		closing(t, client)
		if _, clustered := client.(*goredis.ClusterClient); clustered != (name == "cluster") {
			t.Errorf("%s: took it for cluster mode: %v", name, clustered)
		}
		if err := client.Set(t.Context(), "k", "v", time.Minute).Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := redis.Open(t.Context(), "redis://127.0.0.1:1"); err == nil {
		t.Error("opened a server that is not there")
	}
	if _, err := redis.Open(t.Context(), "postgres://user:secret@host"); err == nil {
		t.Error("opened another scheme")
	}
}
