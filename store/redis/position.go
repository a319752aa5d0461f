package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/fleet"
	"weelo/internal/presence"
	"weelo/internal/track"
)

//go:embed position.lua
var positionScript string

// Positions keeps last positions in the hashes position:0 … position:63.
type Positions struct{ client goredis.UniversalClient }

var _ presence.Positions = (*Positions)(nil)

// NewPositions makes one over a client (single or cluster).
func NewPositions(client goredis.UniversalClient) *Positions { return &Positions{client: client} }

func positionKey(bucket int) string { return "position:" + strconv.Itoa(bucket) }

// Put stores newer positions.
func (p *Positions) Put(ctx context.Context, spots []presence.Spot) error {
	if len(spots) == 0 {
		return nil
	}
	var args [presence.Buckets][]any
	for _, s := range spots {
		b := presence.Bucket(s.User)
		if args[b] == nil {
			args[b] = []any{"put"}
		}
		args[b] = append(args[b], string(s.User), encodeFix(s.Fix))
	}
	pipe := p.client.Pipeline()
	for b, a := range args {
		if a != nil {
			pipe.Eval(ctx, positionScript, []string{positionKey(b)}, a...)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("put positions: %w", err)
	}
	return nil
}

// Last gives the last positions of the users.
func (p *Positions) Last(ctx context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]track.Fix, error) {
	oldest := now.Add(-presence.PositionLife).UnixMilli()
	found := make(map[fleet.UserID]track.Fix, len(users))
	err := readFields(ctx, p.client, positionKey, users, func(user fleet.UserID, raw string) error {
		f, err := decodeFix(raw)
		if err == nil && f.ReceivedMS > oldest {
			found[user] = f
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("last positions: %w", err)
	}
	return found, nil
}

// Remove forgets where one user was.
func (p *Positions) Remove(ctx context.Context, user fleet.UserID) error {
	if err := p.client.HDel(ctx, positionKey(presence.Bucket(user)), string(user)).Err(); err != nil {
		return fmt.Errorf("remove a position: %w", err)
	}
	return nil
}

// Forget removes old positions.
func (p *Positions) Forget(ctx context.Context, now time.Time) (int, error) {
	oldest := now.Add(-presence.PositionLife).UnixMilli()
	var old [presence.Buckets][]any
	err := readAll(ctx, p.client, positionKey, func(bucket int, user fleet.UserID, raw string) error {
		f, err := decodeFix(raw)
		if err == nil && f.ReceivedMS <= oldest {
			old[bucket] = append(old[bucket], string(user))
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("forget positions: %w", err)
	}
	n, err := forgetFields(ctx, p.client, positionScript, positionKey, old, "forget", oldest)
	if err != nil {
		return n, fmt.Errorf("forget positions: %w", err)
	}
	return n, nil
}

var errBadPosition = errors.New("redis: malformed position")

// encodeFix writes "ts|rx|lat|lng|accuracy|speed|bearing|mock"; an unknown speed or bearing is empty.
func encodeFix(f track.Fix) string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	speed, bearing, mock := "", "", "0"
	if f.HasSpeed {
		speed = number(f.Speed)
	}
	if f.HasBearing {
		bearing = number(f.Bearing)
	}
	if f.Mock {
		mock = "1"
	}
	return strings.Join([]string{strconv.FormatInt(f.TS, 10), strconv.FormatInt(f.ReceivedMS, 10),
		number(f.Lat), number(f.Lng), number(f.Accuracy), speed, bearing, mock}, "|")
}

func decodeFix(raw string) (track.Fix, error) {
	parts := strings.Split(raw, "|")
	if len(parts) != 8 {
		return track.Fix{}, errBadPosition
	}
	var errs []error
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		errs = append(errs, err)
		return v
	}
	whole := func(s string) int64 {
		v, err := strconv.ParseInt(s, 10, 64)
		errs = append(errs, err)
		return v
	}
	f := track.Fix{TS: whole(parts[0]), ReceivedMS: whole(parts[1]),
		Lat: number(parts[2]), Lng: number(parts[3]), Accuracy: number(parts[4]), Mock: parts[7] == "1"}
	if f.HasSpeed = parts[5] != ""; f.HasSpeed {
		f.Speed = number(parts[5])
	}
	if f.HasBearing = parts[6] != ""; f.HasBearing {
		f.Bearing = number(parts[6])
	}
	if err := errors.Join(errs...); err != nil {
		return track.Fix{}, fmt.Errorf("%w: %w", errBadPosition, err)
	}
	return f, nil
}
