package postgres

import (
	"maps"
	"strings"
)

// NewWriterWithout makes a writer without one of its mechanisms, for the controls of tests that
// claim to notice its absence: "epoch", "version" or "lock order".
func NewWriterWithout(db *DB, o Options, mechanism string) Writer {
	weak := standard
	weak.update = maps.Clone(standard.update)
	drop := map[string][]string{
		"epoch":      {" AND n.epoch = locked.owner_epoch", " AND r.owner_epoch = n.epoch"},
		"version":    {" AND n.version = locked.version", " AND r.version = n.version"},
		"lock order": {" ORDER BY r.id FOR UPDATE"},
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
	return newWriter(db, o, weak)
}
