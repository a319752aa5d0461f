package sqlite

import (
	"errors"
	"strings"

	moderncsqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"weelo/internal/ledger"
)

// perKind is one statement for each table of aggregates.
type perKind map[ledger.Kind]string

func onEach(sql string) perKind {
	return perKind{
		ledger.Order: strings.ReplaceAll(sql, "TABLE", "customer_order"),
		ledger.Trip:  strings.ReplaceAll(sql, "TABLE", "trip"),
	}
}

// statements are the writer's, one row each.
type statements struct {
	update, birth, where perKind

	used, cancelTimer, armTimer, message, idem, event, head, entry string

	closeAll, closeOffer, openOffer string
}

var standard = statements{
	update: onEach(`UPDATE TABLE SET version = version + 1, state = ?1, updated_at = ?2 WHERE id = ?3 AND version = ?4 AND owner_epoch = ?5`),
	birth:  onEach(`INSERT INTO TABLE (state, created_at, updated_at, id, version, owner_epoch) VALUES (?, ?2, ?2, ?3, 1, 0)`),
	where:  onEach(`SELECT version, owner_epoch FROM TABLE WHERE id = ?`),

	used:        `SELECT hash, reply FROM idem WHERE scope = ? AND key = ?`,
	cancelTimer: `DELETE FROM timer WHERE kind = ? AND aggregate_id = ? AND name = ?`,
	armTimer: `INSERT INTO timer (kind, aggregate_id, name, due, number) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (kind, aggregate_id, name) DO UPDATE SET due = excluded.due, number = excluded.number`,
	message: `INSERT INTO outbox (id, channel, recipient, type, body, deadline, due, kind, aggregate_id, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	idem:    `INSERT INTO idem (scope, key, hash, reply, kind, aggregate_id, version, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
	event: `INSERT INTO event (kind, aggregate_id, version, ordinal, epoch, id, type, payload_version, at, expires, trip_id, order_id, data)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	head: `INSERT INTO inbox_head (recipient, seq) VALUES (?, ?)
		ON CONFLICT (recipient) DO UPDATE SET seq = seq + excluded.seq RETURNING seq`,
	entry: `INSERT INTO inbox (recipient, seq, kind, aggregate_id, version, ordinal, at) VALUES (?, ?, ?, ?, ?, ?, ?)`,

	closeAll: `UPDATE offer SET version = version + 1, open = 0, reason = ?2, closed_at = ?3
		WHERE order_id = ?1 AND open AND recipient NOT IN (SELECT value FROM json_each(?4))
		RETURNING id, recipient, version`,
	closeOffer: `UPDATE offer SET version = version + 1, open = 0, reason = ?4, closed_at = ?5
		WHERE id = ?1 AND order_id = ?2 AND recipient = ?3 AND open RETURNING version`,
	openOffer: `INSERT INTO offer (id, order_id, recipient, wave, version, open, expires, data, reason, offered_at)
		VALUES (?1, ?2, ?3, ?4, 1, 1, ?5, ?6, ?7, ?8)
		ON CONFLICT (id) DO UPDATE SET version = version + 1, open = 1, wave = excluded.wave, expires = excluded.expires,
			data = excluded.data, reason = excluded.reason, closed_at = NULL
		WHERE order_id = excluded.order_id AND recipient = excluded.recipient
		RETURNING version`,
}

// A savepoint stands before each transition of a batch of which one may be refused.
const (
	savepoint  = `SAVEPOINT one`
	rollbackTo = `ROLLBACK TO one`
	release    = `RELEASE one`
)

func (s statements) all() []string {
	texts := []string{savepoint, rollbackTo, release, s.used, s.cancelTimer, s.armTimer, s.message, s.idem, s.event, s.head, s.entry,
		s.closeAll, s.closeOffer, s.openOffer}
	for _, each := range []perKind{s.update, s.birth, s.where} {
		texts = append(texts, each[ledger.Order], each[ledger.Trip])
	}
	return texts
}

// constraints names the unique indexes of the aggregates by the columns that SQLite reports: it does
// not tell an index's name.
var constraints = map[string]string{
	"trip.id":                    "one_row_per_trip",
	"trip.driver_id":             "one_live_trip_per_driver",
	"trip.vehicle_id":            "one_live_trip_per_vehicle",
	"trip.order_id, trip.slot":   "one_live_trip_per_slot",
	"customer_order.id":          "one_row_per_order",
	"customer_order.customer_id": "one_searching_order_per_customer",
}

// taken gives the name of the unique index that refused a statement.
func taken(err error) (constraint string, ok bool) {
	var e *moderncsqlite.Error
	if !errors.As(err, &e) || (e.Code() != sqlite3.SQLITE_CONSTRAINT_UNIQUE && e.Code() != sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY) {
		return "", false
	}
	_, columns, _ := strings.Cut(e.Error(), "UNIQUE constraint failed: ")
	columns, _, _ = strings.Cut(columns, " (")
	constraint, ok = constraints[columns]
	return constraint, ok
}

// refused tells whether a statement failed by its content and left the transaction usable.
func refused(err error) bool {
	var e *moderncsqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE:
		return true
	default:
		return false
	}
}
