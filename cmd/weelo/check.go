package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"weelo/internal/audit"
	"weelo/internal/config"
	"weelo/store/postgres"
	"weelo/store/sqlite"
)

// openAudit opens the store to audit: the dev folder, or DATABASE_URL when dir is "".
func openAudit(ctx context.Context, dir string, s surroundings) (rows audit.Rows, closeStore func(), err error) {
	if dir != "" {
		db, err := openForReading(dir, s)
		if err != nil {
			return nil, nil, err
		}
		return sqlite.NewFileAudit(db), func() { _ = db.Close() }, nil
	}
	db, err := openDatabase(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	return postgres.NewAudit(db), db.Close, nil
}

// openDatabase opens DATABASE_URL.
func openDatabase(ctx context.Context, s surroundings) (*postgres.DB, error) {
	cfg, err := config.Load(s.environ)
	if err == nil {
		err = cfg.Database()
	}
	if err != nil {
		return nil, err
	}
	return postgres.Open(ctx, postgres.Config{URL: cfg.Store.DatabaseURL.Reveal()})
}

// errBroken: an audit found breaches.
var errBroken = errors.New("the store breaks invariants (docs/invariants.md)")

// checkStore audits a store and says what it found.
func checkStore(ctx context.Context, dir string, o audit.Options, asJSON bool, s surroundings) error {
	rows, closeStore, err := openAudit(ctx, dir, s)
	if err != nil {
		return err
	}
	defer closeStore()
	report, err := audit.Run(ctx, rows, o)
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(s.out).Encode(report)
	} else {
		writeAudit(s.out, report)
	}
	if err == nil && !report.OK() {
		err = errBroken
	}
	return err
}

func writeAudit(w io.Writer, r audit.Report) {
	fmt.Fprintf(w, "audited %d orders (%d live), %d trips (%d live), %d offers, %d lines of history; %d letters wait\n",
		r.Orders, r.LiveOrders, r.Trips, r.LiveTrips, r.Offers, r.Lines, r.Letters)
	if r.Bounded != "" {
		fmt.Fprintln(w, r.Bounded)
	}
	for _, b := range r.Breaches {
		fmt.Fprintln(w, b)
	}
	if more := r.Count - len(r.Breaches); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	fmt.Fprintf(w, "%d breaches\n", r.Count)
}

// auditAtRest waits until nothing overdue is left and audits a store whose people have gone home.
func auditAtRest(ctx context.Context, dir string, wait time.Duration, s surroundings) error {
	deadline := time.Now().Add(wait)
	for {
		err := checkStore(ctx, dir, audit.Options{Now: time.Now(), Quiet: true}, false, surroundings{out: io.Discard, err: s.err, environ: s.environ})
		if err == nil || !errors.Is(err, errBroken) || time.Now().After(deadline) {
			break
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return checkStore(ctx, dir, audit.Options{Now: time.Now(), Quiet: true}, false, s)
}
