package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"sync"
	"time"

	"weelo/internal/client"
)

// shot is one request as an app makes it. Its key stays the same however often it is made.
type shot struct {
	method, path string
	token        string
	key          string // "" for what is idempotent by state
	body         any
}

// manner says how impatient somebody's thumb is: shares of his requests.
type manner struct {
	doubleTap float64 // made twice at once, with one key
	impatient float64 // given up after some ms and made again, with the same key
}

// errUnsettled: no definite answer after all tries. It is an error of its own kind: "every command
// settles" is a promise.
var errUnsettled = errors.New("no definite answer after many tries")

// settleTries over growing pauses are about half a minute.
const settleTries = 12

// settle makes a request until the answer is definite. Whoever calls it with a key may call it again.
func (a *api) settle(ctx context.Context, s shot) (client.Answer, error) {
	var last error
	for try := range settleTries {
		answer, err := a.shoot(ctx, s)
		if err == nil && !comeAgain(answer) {
			return answer, nil
		}
		if last = err; err == nil {
			last = answer.Refusal()
		}
		if !pause(ctx, max(answer.RetryAfter, rand.N(200*time.Millisecond)<<min(try, 5))) {
			return client.Answer{}, ctx.Err()
		}
	}
	return client.Answer{}, fmt.Errorf("%s %s: %w: %w", s.method, withoutIDs(s.path), errUnsettled, last)
}

// comeAgain tells whether an answer asks for another try.
func comeAgain(a client.Answer) bool {
	switch a.Error.Code {
	case "CONCURRENT_REQUEST", "LOCK_CONTENTION", "TOGGLE_IN_PROGRESS":
		return true
	}
	return a.Status >= 500 || a.Status == http.StatusTooManyRequests
}

func (a *api) shoot(ctx context.Context, s shot) (client.Answer, error) {
	if !a.pace.wait(ctx, s) {
		return client.Answer{}, ctx.Err()
	}
	select {
	case a.gate <- struct{}{}:
		defer func() { <-a.gate }()
	case <-ctx.Done():
		return client.Answer{}, ctx.Err()
	}
	return a.rest.As(s.token).Do(ctx, s.method, s.path, s.key, s.body)
}

// press makes a request as people do: at times twice at once, at times giving up and trying again. It
// gives one definite answer, and both when there were two.
func (m *market) press(ctx context.Context, s shot, rng *rand.Rand) (one client.Answer, both []client.Answer, err error) {
	if rng.Float64() < m.manners.thumb.impatient {
		short, cancel := context.WithTimeout(ctx, time.Duration(1+rng.IntN(40))*time.Millisecond)
		if _, err := m.api.shoot(short, s); err != nil && ctx.Err() == nil {
			m.tally.gaveUp.Add(1)
		}
		cancel()
	}
	if rng.Float64() >= m.manners.thumb.doubleTap {
		one, err = m.api.settle(ctx, s)
		return one, nil, err
	}
	m.tally.doubles.Add(1)
	answers, errs := make([]client.Answer, 2), make([]error, 2)
	var taps sync.WaitGroup
	for i := range answers {
		taps.Go(func() { answers[i], errs[i] = m.api.settle(ctx, s) })
	}
	taps.Wait()
	if err := errors.Join(errs...); err != nil {
		return client.Answer{}, nil, err
	}
	one = answers[0]
	if !one.Success && answers[1].Success {
		one = answers[1]
	}
	return one, answers, nil
}

// keyed presses a request that has a key. Two answers to one key are the same answer, or the rule is
// broken; but for refusals, which are not kept: what was refused may succeed a moment later.
func (m *market) keyed(ctx context.Context, s shot, rng *rand.Rand) (client.Answer, error) {
	one, both, err := m.press(ctx, s, rng)
	if err != nil || both == nil {
		return one, err
	}
	if both[0].Success && both[1].Success && !sameAnswer(both[0].Data, both[1].Data) {
		m.meter.fail("replays differ", fmt.Errorf("%s %s: %s and %s", s.method, withoutIDs(s.path), short(both[0].Body), short(both[1].Body)))
	}
	return one, nil
}

// newKey is a fresh idempotency key, a UUID as the apps make them.
func newKey(rng *rand.Rand) string {
	a, b := rng.Uint64(), rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffffffffffff)
}

// volatile are the members of an answer that count time, and so differ between equal answers.
var volatile = map[string]bool{"serverTimeMs": true, "expiresIn": true, "remainingSeconds": true, "requestId": true}

// sameAnswer compares two answers to one key.
func sameAnswer(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return string(a) == string(b)
	}
	return reflect.DeepEqual(steady(x), steady(y))
}

func steady(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			if volatile[k] {
				delete(v, k)
				continue
			}
			v[k] = steady(member)
		}
	case []any:
		for i := range v {
			v[i] = steady(v[i])
		}
	}
	return v
}

func short(body []byte) string { return string(body[:min(len(body), 900)]) }
