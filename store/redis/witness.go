package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/login"
)

// witnessKey holds a random word for as long as nobody empties the store.
const witnessKey = "weelo:witness"

// Witness notices that Redis may have forgotten what was counted in it: it was emptied (its word is gone), or
// another server answers, which knows only what was copied to it in time. For one goroutine.
type Witness struct {
	client goredis.UniversalClient
	word   string
	runs   string
}

var _ login.Memory = (*Witness)(nil)

// NewWitness makes one over a client (single or cluster).
func NewWitness(client goredis.UniversalClient) *Witness { return &Witness{client: client} }

// Changed implements login.Memory. A store that does not answer has not changed yet.
func (w *Witness) Changed(ctx context.Context) (why string, err error) {
	word, err := w.remembered(ctx)
	if err != nil {
		return "", fmt.Errorf("ask the witness: %w", err)
	}
	runs, err := w.running(ctx)
	if err != nil {
		return "", fmt.Errorf("ask who runs: %w", err)
	}
	switch {
	case w.word != "" && w.word != word:
		why = "emptied"
	case w.runs != "" && w.runs != runs:
		why = "another server"
	}
	w.word, w.runs = word, runs
	return why, nil
}

// remembered is the word that stands there, ours if there was none.
func (w *Witness) remembered(ctx context.Context) (string, error) {
	var fresh [8]byte
	_, _ = rand.Read(fresh[:]) // never fails
	if err := w.client.SetNX(ctx, witnessKey, hex.EncodeToString(fresh[:]), 0).Err(); err != nil {
		return "", err
	}
	return w.client.Get(ctx, witnessKey).Result()
}

// running names the processes that answer for the data. "" when they do not say.
func (w *Witness) running(ctx context.Context) (string, error) {
	cluster, ok := w.client.(*goredis.ClusterClient)
	if !ok {
		return runID(ctx, w.client)
	}
	var mu sync.Mutex
	var all []string
	ctx, cancel := context.WithTimeout(ctx, batchTimes*Timeout) // a node's own client has no patience
	defer cancel()
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *goredis.Client) error {
		id, err := runID(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, id)
		return err
	})
	slices.Sort(all)
	return strings.Join(all, " "), err
}

func runID(ctx context.Context, c goredis.Cmdable) (string, error) {
	info, err := c.Info(ctx, "server").Result()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok {
			return id, nil
		}
	}
	return "", nil
}
