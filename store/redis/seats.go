package redis

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/share"
)

//go:embed seats.lua
var seatsText string

var seatsScript = goredis.NewScript(seatsText)

// Seats keeps who follows share links, one sorted set per link that ends with its last viewer.
type Seats struct{ client goredis.UniversalClient }

var _ share.Seats = (*Seats)(nil)

// NewSeats makes one over a client (single or cluster).
func NewSeats(client goredis.UniversalClient) *Seats { return &Seats{client: client} }

// Renew implements share.Seats.
func (s *Seats) Renew(ctx context.Context, link string, here, left []share.Seat, most int, hold time.Duration) ([]share.Seat, error) {
	args := []any{ms(hold), most, len(left)}
	for _, list := range [][]share.Seat{left, here} {
		for _, seat := range list {
			args = append(args, string(seat))
		}
	}
	over, err := seatsScript.Run(ctx, s.client, []string{"share:viewers:" + link}, args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("count the viewers of a share link: %w", err)
	}
	seats := make([]share.Seat, len(over))
	for i, seat := range over {
		seats[i] = share.Seat(seat)
	}
	return seats, nil
}
