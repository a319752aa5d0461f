package postgres

import (
	"maps"
	"strings"

	"weelo/internal/ledger"
)

// NewWriterWithout makes a writer without one of its mechanisms, for the controls of tests that
// claim to notice its absence: "epoch", "version" or "announced births".
func NewWriterWithout(db *DB, o Options, mechanism string) Writer {
	weak := standard
	if mechanism == "announced births" {
		weak.lockKeys = `SELECT WHERE $1::bigint[] IS NULL`
		return newWriter(db, o, weak, lockOrder)
	}
	weak.update = maps.Clone(standard.update)
	drop := map[string][]string{
		"epoch":   {" AND n.epoch = locked.owner_epoch", " AND r.owner_epoch = n.epoch"},
		"version": {" AND n.version = locked.version", " AND r.version = n.version"},
	}[mechanism]
	for kind, text := range weak.update {
		for _, part := range drop {
			if !strings.Contains(text, part) {
				panic("the statement has no " + part)
			}
			text = strings.ReplaceAll(text, part, "")
		}
		weak.update[kind] = text
	}
	return newWriter(db, o, weak, lockOrder)
}

// NewWriterAsTheyCome makes a writer that locks rows in the order its caller names them.
func NewWriterAsTheyCome(db *DB) Writer {
	weak := standard
	weak.update = maps.Clone(standard.update)
	for kind, text := range weak.update {
		ordered := "FROM " + table(kind) + " r WHERE r.id = ANY ($1::text[]) ORDER BY r.id FOR UPDATE"
		if !strings.Contains(text, ordered) {
			panic("the statement does not lock in order")
		}
		weak.update[kind] = strings.Replace(text, ordered,
			"FROM unnest($1::text[]) AS u (id) JOIN "+table(kind)+" r ON r.id = u.id FOR UPDATE OF r", 1)
	}
	return newWriter(db, Options{}, weak, func(ts []ledger.Transition) []int {
		order := make([]int, len(ts))
		for i := range order {
			order[i] = i
		}
		return order
	})
}
