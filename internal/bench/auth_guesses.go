package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"weelo/internal/client"
)

// guessRounds is how often the guesser has a new code sent: often enough to reach the ceiling of a phone by
// codes of which each has its own tries.
const guessRounds = 10

// guesses sends the wrong codes for one phone to one server, then for another phone to several, and compares
// how many were compared with a code. The rest was refused before anybody looked.
func (r *authRunner) guesses(ctx context.Context) error {
	one, err := r.guess(ctx, 1)
	if err != nil {
		return err
	}
	all, err := r.guess(ctx, r.Servers)
	if err != nil {
		return err
	}
	r.report.add(Row{
		Name: "guesses compared", What: fmt.Sprintf("wrong codes for one phone that were compared with a code, of %d, limits off and a new code whenever it is asked for", r.Guesses),
		Unit: "", Against: "the same guesses at one process", BareRuns: []float64{float64(one.compared)}, WeeloRuns: []float64{float64(all.compared)},
		Notes: []string{"one: " + one.String(), fmt.Sprintf("%d processes: %s", r.Servers, all)},
	})
	if one.compared != all.compared || one.compared == 0 {
		return fmt.Errorf("%d guesses were compared at one process and %d at %d: the ceiling is not the same", one.compared, all.compared, r.Servers)
	}
	return nil
}

// guessed is what became of the guesses at a phone.
type guessed struct {
	compared int
	answers  map[string]int // by code
	took     time.Duration
}

func (g guessed) String() string {
	codes := make([]string, 0, len(g.answers))
	for code, n := range g.answers {
		codes = append(codes, fmt.Sprintf("%s %d", code, n))
	}
	slices.Sort(codes)
	return fmt.Sprintf("%d compared in %.0f s; answers: %s", g.compared, g.took.Seconds(), strings.Join(codes, ", "))
}

// guess starts servers and sends them the guesses in turns, many at a time, in rounds with a new code each.
func (r *authRunner) guess(ctx context.Context, servers int) (g guessed, err error) {
	started := make([]*child, servers)
	for i := range started {
		if started[i], err = r.serve(ctx); err != nil {
			return g, err
		}
		defer func() { _ = started[i].Stop() }()
	}
	phone := r.phone()
	r.say("%d wrong codes for one phone from %d process(es)", r.Guesses, servers)
	g.answers = map[string]int{}
	var mu sync.Mutex
	begun := time.Now()
	for round := range guessRounds {
		if err := r.freshCode(ctx, started[round%servers], phone); err != nil {
			return g, err
		}
		codes, err := r.codes()
		if err != nil {
			return g, err
		}
		n := r.Guesses*(round+1)/guessRounds - r.Guesses*round/guessRounds
		err = each(ctx, n, r.Width, func(ctx context.Context, i int) error {
			code, err := r.wrong(ctx, started[i%servers], phone, wrongCode(i, codes[phone]))
			mu.Lock()
			defer mu.Unlock()
			g.answers[code]++
			return err
		})
		if err != nil {
			return g, err
		}
	}
	g.took = time.Since(begun)
	g.compared, err = r.Fails.CountFails(ctx, "+91"+phone, r.since)
	r.say("  %s", g)
	return g, err
}

// freshCode has a code sent. A server that refuses to, for its reasons, makes guessing no easier.
func (r *authRunner) freshCode(ctx context.Context, s *child, phone string) error {
	err := client.REST{BaseURL: s.url, HTTP: r.web}.SendOTP(ctx, phone, "customer")
	var refused *client.APIError
	if errors.As(err, &refused) && refused.Status == http.StatusTooManyRequests {
		return nil
	}
	if err != nil {
		return fmt.Errorf("send before the guesses: %w", err)
	}
	return nil
}

// wrong tries a code that is not right and answers how it was refused.
func (r *authRunner) wrong(ctx context.Context, s *child, phone, code string) (string, error) {
	_, _, err := client.REST{BaseURL: s.url, HTTP: r.web}.VerifyOTP(ctx, phone, "customer", code)
	var refused *client.APIError
	switch {
	case err == nil:
		return "", errors.New("a wrong code was accepted")
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
		return refused.Code, nil
	}
	return "", fmt.Errorf("guess: %w", err)
}

// wrongCode is the i-th code that is not the right one.
func wrongCode(i int, right string) string {
	code := fmt.Sprintf("%06d", i%1_000_000)
	if code == right {
		return fmt.Sprintf("%06d", (i+500_000)%1_000_000)
	}
	return code
}
