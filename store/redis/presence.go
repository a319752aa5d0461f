package redis

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/fleet"
	"weelo/internal/presence"
)

//go:embed presence.lua
var presenceScript string

// Presence keeps who is online in the hashes presence:0 … presence:63. Each step is one script on one
// key; steps on several users go out in one pipeline.
type Presence struct{ client goredis.UniversalClient }

var _ presence.Store = (*Presence)(nil)

// NewPresence makes one over a client (single or cluster).
func NewPresence(client goredis.UniversalClient) *Presence { return &Presence{client: client} }

func presenceKey(bucket int) string { return "presence:" + strconv.Itoa(bucket) }

// Enter makes the person present.
func (p *Presence) Enter(ctx context.Context, who presence.Person, now time.Time) (presence.Entry, error) {
	ms := now.UnixMilli()
	raw, err := encodeEntered(who, ms)
	if err != nil {
		return presence.Entry{}, err
	}
	stored, err := p.client.Eval(ctx, presenceScript, []string{presenceKey(presence.Bucket(who.User))},
		ms, "enter", string(who.User), raw).Text()
	if err != nil {
		return presence.Entry{}, fmt.Errorf("enter presence: %w", err)
	}
	return decodeEntry(who.User, stored)
}

func encodeEntered(who presence.Person, ms int64) ([]byte, error) {
	raw, err := json.Marshal(presence.Entry{Role: who.Role, Fleet: who.Fleet, Since: ms, Seen: ms,
		Expires: ms + presence.Life(who.Role).Milliseconds()})
	if err != nil {
		return nil, fmt.Errorf("encode presence: %w", err)
	}
	return raw, nil
}

// Move enters and removes people. The steps of one person are on one key, so a pipeline, and a
// cluster's too, keeps their order.
func (p *Presence) Move(ctx context.Context, moves []presence.Move, now time.Time) error {
	if len(moves) == 0 {
		return nil
	}
	ms, pipe := now.UnixMilli(), p.client.Pipeline()
	for _, m := range moves {
		key := []string{presenceKey(presence.Bucket(m.Who.User))}
		if m.Leave {
			pipe.Eval(ctx, presenceScript, key, ms, "leave", string(m.Who.User))
			continue
		}
		raw, err := encodeEntered(m.Who, ms)
		if err != nil {
			return err
		}
		pipe.Eval(ctx, presenceScript, key, ms, "enter", string(m.Who.User), raw)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("move presence: %w", err)
	}
	return nil
}

// Beat renews those who are present.
func (p *Presence) Beat(ctx context.Context, who []presence.Person, now time.Time) ([]bool, error) {
	present := make([]bool, len(who))
	if len(who) == 0 {
		return present, nil
	}
	var args [presence.Buckets][]any
	var index [presence.Buckets][]int
	for i, w := range who {
		b := presence.Bucket(w.User)
		if args[b] == nil {
			args[b] = []any{now.UnixMilli(), "beat"}
		}
		args[b] = append(args[b], string(w.User), presence.Life(w.Role).Milliseconds())
		index[b] = append(index[b], i)
	}
	pipe := p.client.Pipeline()
	var answers [presence.Buckets]*goredis.Cmd
	for b, a := range args {
		if a != nil {
			answers[b] = pipe.Eval(ctx, presenceScript, []string{presenceKey(b)}, a...)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("renew presence: %w", err)
	}
	for b, cmd := range answers {
		if cmd == nil {
			continue
		}
		flags, err := cmd.Int64Slice()
		if err != nil || len(flags) != len(index[b]) {
			return nil, fmt.Errorf("renew presence: %d answers for %d beats: %w", len(flags), len(index[b]), err)
		}
		for k, i := range index[b] {
			present[i] = flags[k] == 1
		}
	}
	return present, nil
}

// Leave removes the person.
func (p *Presence) Leave(ctx context.Context, user fleet.UserID, now time.Time) (bool, error) {
	was, err := p.client.Eval(ctx, presenceScript, []string{presenceKey(presence.Bucket(user))},
		now.UnixMilli(), "leave", string(user)).Int()
	if err != nil {
		return false, fmt.Errorf("leave presence: %w", err)
	}
	return was == 1, nil
}

// Read gives those of the users who are present.
func (p *Presence) Read(ctx context.Context, users []fleet.UserID, now time.Time) (map[fleet.UserID]presence.Entry, error) {
	found := make(map[fleet.UserID]presence.Entry, len(users))
	err := readFields(ctx, p.client, presenceKey, users, func(user fleet.UserID, raw string) error {
		e, err := decodeEntry(user, raw)
		if err == nil && e.Live(now.UnixMilli()) {
			found[user] = e
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read presence: %w", err)
	}
	return found, nil
}

// All gives everybody present and forgets those who expired.
func (p *Presence) All(ctx context.Context, now time.Time) ([]presence.Entry, error) {
	var all []presence.Entry
	var expired [presence.Buckets][]any
	err := readAll(ctx, p.client, presenceKey, func(bucket int, user fleet.UserID, raw string) error {
		e, err := decodeEntry(user, raw)
		switch {
		case err != nil:
			return err
		case e.Live(now.UnixMilli()):
			all = append(all, e)
		default:
			expired[bucket] = append(expired[bucket], string(user))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read all presence: %w", err)
	}
	if _, err := forgetFields(ctx, p.client, presenceScript, presenceKey, expired, now.UnixMilli(), "forget"); err != nil {
		return nil, fmt.Errorf("forget presence: %w", err)
	}
	return all, nil
}

func decodeEntry(user fleet.UserID, raw string) (presence.Entry, error) {
	e := presence.Entry{User: user}
	if err := json.Unmarshal([]byte(raw), &e); err != nil {
		return presence.Entry{}, fmt.Errorf("presence of %s: %w", user, err)
	}
	return e, nil
}

// readFields visits the values of the users that exist, with one pipelined HMGET per bucket.
func readFields(ctx context.Context, client goredis.UniversalClient, key func(int) string, users []fleet.UserID,
	visit func(user fleet.UserID, raw string) error,
) error {
	if len(users) == 0 {
		return nil
	}
	var fields [presence.Buckets][]string
	for _, u := range users {
		b := presence.Bucket(u)
		fields[b] = append(fields[b], string(u))
	}
	pipe := client.Pipeline()
	var answers [presence.Buckets]*goredis.SliceCmd
	for b, f := range fields {
		if f != nil {
			answers[b] = pipe.HMGet(ctx, key(b), f...)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for b, cmd := range answers {
		if cmd == nil {
			continue
		}
		for i, v := range cmd.Val() {
			raw, ok := v.(string)
			if !ok {
				continue // no such field
			}
			if err := visit(fleet.UserID(fields[b][i]), raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// readAll visits every value of every bucket, with one pipelined HGETALL each.
func readAll(ctx context.Context, client goredis.UniversalClient, key func(int) string,
	visit func(bucket int, user fleet.UserID, raw string) error,
) error {
	pipe := client.Pipeline()
	var answers [presence.Buckets]*goredis.MapStringStringCmd
	for b := range answers {
		answers[b] = pipe.HGetAll(ctx, key(b))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	var errs []error
	for b, cmd := range answers {
		for user, raw := range cmd.Val() {
			errs = append(errs, visit(b, fleet.UserID(user), raw))
		}
	}
	return errors.Join(errs...)
}

// forgetFields runs the forget step of a script on each bucket that has something to forget. The
// script looks again: what was renewed meanwhile stays.
func forgetFields(ctx context.Context, client goredis.UniversalClient, script string, key func(int) string,
	users [presence.Buckets][]any, first ...any,
) (int, error) {
	pipe := client.Pipeline()
	var answers []*goredis.Cmd
	for b, list := range users {
		if len(list) > 0 {
			answers = append(answers, pipe.Eval(ctx, script, []string{key(b)}, append(append([]any{}, first...), list...)...))
		}
	}
	if len(answers) == 0 {
		return 0, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, err
	}
	total := 0
	for _, cmd := range answers {
		n, err := cmd.Int()
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}
