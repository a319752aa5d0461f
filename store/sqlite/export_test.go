package sqlite

import (
	"maps"
	"strings"
)

// NewWriterWithout makes a writer without one of its mechanisms, for the controls of tests that
// claim to notice its absence: "epoch" or "version".
func NewWriterWithout(db *DB, o Options, mechanism string) Writer {
	part := map[string]string{"epoch": " AND owner_epoch = ?5", "version": " AND version = ?4"}[mechanism]
	weak := standard
	weak.update = maps.Clone(standard.update)
	for kind, text := range weak.update {
		if part == "" || !strings.Contains(text, part) {
			panic("the statement has no " + part)
		}
		// The parameter stays bound, and is compared with nothing.
		weak.update[kind] = strings.Replace(text, part, strings.Replace(part, "=", ">= 0 * ", 1), 1)
	}
	return newWriter(db, o, weak)
}
