package redis_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/share"
	"weelo/store/redis"
)

// TestSeats: the oldest of too many have none, who left makes room, links do not touch each other, and what
// nobody holds any more is gone, by Redis's clock.
func TestSeats(t *testing.T) {
	t.Parallel()
	for mode, open := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			client := open(t)
			s := redis.NewSeats(client)
			seats := func(from, to int) []share.Seat {
				var list []share.Seat
				for n := from; n < to; n++ {
					list = append(list, share.Seat(fmt.Sprintf("%013d:viewer", n)))
				}
				return list
			}
			renew := func(link string, here, left, want []share.Seat) {
				t.Helper()
				over, err := s.Renew(t.Context(), link, here, left, 3, time.Hour)
				if err != nil || !slices.Equal(over, want) {
					t.Errorf("%s: %v are too many, want %v: %v", link, over, want, err)
				}
			}
			renew("l1", seats(5, 7), nil, nil)
			renew("l1", seats(5, 7), nil, nil) // again
			renew("l2", seats(1, 4), nil, nil)
			renew("l1", seats(8, 9), nil, nil)            // of another task: three
			renew("l1", seats(9, 10), nil, seats(5, 6))   // the oldest of all
			renew("l1", seats(5, 7), nil, seats(5, 6))    // he hears it when he asks
			renew("l1", seats(6, 7), seats(5, 6), nil)    // he has left
			renew("l1", seats(4, 5), nil, seats(4, 5))    // older than all
			renew("l1", nil, seats(8, 9), nil)            // room
			renew("l1", seats(10, 11), nil, nil)          // is taken
			renew("l2", seats(1, 4), nil, nil)            // as before
			renew("l3", nil, seats(1, 2), nil)            // nobody was there
			renew("l3", seats(0, 12), nil, seats(0, 9))   // many at once
			renew("l3", seats(20, 21), nil, seats(9, 10)) // only three were left

			// Of a task that was not heard of for too long.
			if err := client.ZAdd(t.Context(), "share:viewers:l5", goredis.Z{Score: 1, Member: string(seats(0, 1)[0])}).Err(); err != nil {
				t.Fatal(err)
			}
			renew("l5", seats(1, 4), nil, nil)

			// Held for no time at all: gone for the next who asks.
			if over, err := s.Renew(t.Context(), "l4", seats(0, 3), nil, 3, time.Millisecond); err != nil || len(over) != 0 {
				t.Errorf("%v, %v", over, err)
			}
			deadline := time.Now().Add(20 * time.Second)
			for {
				n, err := client.Exists(t.Context(), "share:viewers:l4").Result()
				if err == nil && n == 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("seats without viewers stay: %v", err)
				}
			}
			if left, err := client.PTTL(t.Context(), "share:viewers:l1").Result(); err != nil || left <= 0 || left > time.Hour {
				t.Errorf("the seats end in %v, %v", left, err)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.Renew(ended, "l1", seats(1, 2), nil, 3, time.Hour); err == nil {
				t.Error("no error of a call that was called off")
			}
		})
	}
}
