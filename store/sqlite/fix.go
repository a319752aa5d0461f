package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"weelo/internal/fleet"
	"weelo/internal/history"
)

// Fixes keeps the fixes of every driver, on the one writer.
type Fixes struct {
	db *DB

	mu   sync.Mutex
	keys map[fleet.UserID]int64 // numbers of drivers that are committed; at most maxKeys
	wary bool                   // the last call met fixes that were there already
}

var _ history.Store = (*Fixes)(nil)

// maxKeys bounds the numbers that are remembered (about 5 MB); the others are looked up.
const maxKeys = 50_000

// NewFixes makes one.
func NewFixes(db *DB) *Fixes { return &Fixes{db: db, keys: make(map[fleet.UserID]int64)} }

// errKnown: some fixes of a statement were there already, and which can no longer be told.
var errKnown = errors.New("some fixes are known")

// Save stores the rows in one transaction. Nearly always all of them are new, so they are written many
// at a time without savepoints; when some were not, everything is taken back and written with care.
func (s *Fixes) Save(ctx context.Context, rows []history.Row) (isNew []bool, err error) {
	isNew = make([]bool, len(rows))
	if len(rows) == 0 {
		return isNew, nil
	}
	s.mu.Lock()
	wary := s.wary
	s.mu.Unlock()
	err = s.attempt(ctx, rows, isNew, wary)
	if errors.Is(err, errKnown) {
		clear(isNew)
		err = s.attempt(ctx, rows, isNew, true)
	}
	if err != nil {
		return nil, fmt.Errorf("save fixes: %w", err)
	}
	return isNew, nil
}

func (s *Fixes) attempt(ctx context.Context, rows []history.Row, isNew []bool, wary bool) error {
	w := fixWriter{fixes: s, wary: wary}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	var err error
	if w.tx, err = s.db.Write.BeginTx(ctx, nil); err != nil {
		return err
	}
	defer func() { _ = w.tx.Rollback() }() // after a commit it does nothing
	// The driver starts a goroutine for each statement that could be interrupted. The transaction as a
	// whole still ends with ctx, between two statements.
	if err := w.write(context.WithoutCancel(ctx), rows, isNew); err != nil {
		return err
	}
	if err := w.tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wary = w.known
	if len(s.keys)+len(w.looked) > maxKeys {
		clear(s.keys)
	}
	for driver, key := range w.looked { // only now: a number that was taken back may be given to another
		s.keys[driver] = key
	}
	return nil
}

// key gives a driver's number if it is remembered; 0: it is not.
func (s *Fixes) key(driver fleet.UserID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[driver]
}
