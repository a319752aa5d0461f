package postgres

import (
	"strings"

	"weelo/internal/ledger"
)

// oneEffectPerCommand is the key of idem: two transactions used one command id at once.
const oneEffectPerCommand = "one_effect_per_command"

// table is where a kind's rows are.
func table(k ledger.Kind) string {
	if k == ledger.Order {
		return "customer_order"
	}
	return "trip"
}

// perKind is one statement for each table of aggregates.
type perKind map[ledger.Kind]string

func onEach(sql string) perKind {
	return perKind{
		ledger.Order: strings.ReplaceAll(sql, "TABLE", table(ledger.Order)),
		ledger.Trip:  strings.ReplaceAll(sql, "TABLE", table(ledger.Trip)),
	}
}

// statements are the writer's. Each takes whole columns, one array per parameter.
type statements struct {
	update, birth, where perKind

	lockKeys     string
	usedCommands string
	cancelTimers string
	armTimers    string
	outbox       string
	idem         string
	event        string
	inbox        string

	lockOffers  string
	closeAll    string
	closeOffers string
	openOffers  string
}

// unused is true for a transition without a command id and for one whose id is new. It is a scalar
// subquery because that is always a look into the key; NOT EXISTS may be planned as a scan of all.
const unused = `(n.key IS NULL OR (SELECT i.hash FROM idem i WHERE i.scope = n.scope AND i.key = n.key) IS NULL)`

var standard = statements{
	// A set-based UPDATE does not find its own rows: the CTE locks them in the one order. fence and
	// version are compared on the locked row and again by the update itself.
	update: onEach(`
		WITH n AS (
			SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[], $6::text[], $7::text[])
				AS n (id, version, epoch, state, at, scope, key)
		), locked AS MATERIALIZED (
			SELECT r.id, r.version, r.owner_epoch FROM TABLE r WHERE r.id = ANY ($1::text[]) ORDER BY r.id FOR UPDATE
		)
		UPDATE TABLE r SET version = r.version + 1, state = n.state::jsonb, updated_at = n.at
		FROM locked JOIN n ON n.id = locked.id AND n.version = locked.version AND n.epoch = locked.owner_epoch
		WHERE r.id = locked.id AND r.version = n.version AND r.owner_epoch = n.epoch AND ` + unused + `
		RETURNING r.id`),

	birth: onEach(`
		INSERT INTO TABLE (id, version, owner_epoch, state, created_at, updated_at)
		SELECT n.id, 1, 0, n.state::jsonb, n.at, n.at
		FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[]) AS n (id, state, at, scope, key)
		WHERE ` + unused + `
		ORDER BY n.id COLLATE "C"
		RETURNING id`),

	where: onEach(`SELECT id, version, owner_epoch FROM TABLE WHERE id = ANY ($1::text[])`),

	// To the end of the transaction, in the order given.
	lockKeys: `SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS n (k)`,

	usedCommands: `
		SELECT i.scope, i.key, i.hash, i.reply
		FROM unnest($1::text[], $2::text[]) AS n (scope, key) JOIN idem i ON i.scope = n.scope AND i.key = n.key`,

	cancelTimers: `
		DELETE FROM timer t USING unnest($1::text[], $2::text[], $3::text[]) AS n (kind, id, name)
		WHERE t.kind = n.kind AND t.aggregate_id = n.id AND t.name = n.name`,

	armTimers: `
		INSERT INTO timer (kind, aggregate_id, name, due, number)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[])
		ON CONFLICT (kind, aggregate_id, name) DO UPDATE SET due = excluded.due, number = excluded.number`,

	outbox: `
		INSERT INTO outbox (id, channel, recipient, type, body, deadline, due, kind, aggregate_id, version)
		SELECT id, channel, recipient, type, body::json, deadline, due, kind, aggregate_id, version
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::text[], $9::text[], $10::bigint[])
			AS n (id, channel, recipient, type, body, deadline, due, kind, aggregate_id, version)`,

	idem: `
		INSERT INTO idem (scope, key, hash, reply, kind, aggregate_id, version, at)
		SELECT scope, key, hash, reply::json, kind, aggregate_id, version, at
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[])
			AS n (scope, key, hash, reply, kind, aggregate_id, version, at)
		ORDER BY scope COLLATE "C", key COLLATE "C"`,

	event: `
		INSERT INTO event (kind, aggregate_id, version, ordinal, epoch, id, type, payload_version, at, expires, trip_id, order_id, data)
		SELECT kind, aggregate_id, version, ordinal, epoch, id, type, payload_version, at, expires, trip_id, order_id, data::json
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::integer[], $5::bigint[], $6::text[], $7::text[], $8::integer[],
				$9::timestamptz[], $10::timestamptz[], $11::text[], $12::text[], $13::text[])
			AS n (kind, aggregate_id, version, ordinal, epoch, id, type, payload_version, at, expires, trip_id, order_id, data)`,

	// Heads are raised in the one order, each once, and stay locked to the commit; an entry's number
	// is the new head less the entries that come after it.
	inbox: `
		WITH head AS (
			INSERT INTO inbox_head AS h (recipient, seq)
			SELECT recipient, needed FROM unnest($1::text[], $2::bigint[]) AS n (recipient, needed)
			ORDER BY recipient COLLATE "C"
			ON CONFLICT (recipient) DO UPDATE SET seq = h.seq + excluded.seq
			RETURNING recipient, seq
		), entry AS (
			INSERT INTO inbox (recipient, seq, kind, aggregate_id, version, ordinal, at)
			SELECT n.recipient, head.seq - n.back, n.kind, n.aggregate_id, n.version, n.ordinal, n.at
			FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::integer[], $9::timestamptz[])
				AS n (recipient, back, kind, aggregate_id, version, ordinal, at)
			JOIN head ON head.recipient = n.recipient
		)
		SELECT recipient, seq FROM head`,

	// Receipts lock offers too, sorted by id. So a transaction of more than one of the statements below
	// locks all that it will change first.
	lockOffers: `
		WITH locked AS MATERIALIZED (
			SELECT id FROM offer WHERE id = ANY ($1::text[]) OR (order_id = ANY ($2::text[]) AND open) ORDER BY id FOR UPDATE
		)
		SELECT count(*) FROM locked`,

	closeAll: `
		WITH n AS (
			SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS n (order_id, reason, at)
		), stays AS (
			SELECT * FROM unnest($4::text[], $5::text[]) AS stays (order_id, recipient)
		), locked AS MATERIALIZED (
			SELECT o.id FROM offer o WHERE o.order_id = ANY ($1::text[]) AND o.open ORDER BY o.id FOR UPDATE
		)
		UPDATE offer o SET version = o.version + 1, open = false, reason = n.reason, closed_at = n.at
		FROM locked, n
		WHERE o.id = locked.id AND o.order_id = n.order_id AND o.open
			AND NOT EXISTS (SELECT FROM stays WHERE stays.order_id = o.order_id AND stays.recipient = o.recipient)
		RETURNING o.order_id, o.id, o.recipient, o.version, o.open`,

	closeOffers: `
		WITH n AS (
			SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS n (id, order_id, recipient, reason, at)
		), locked AS MATERIALIZED (
			SELECT o.id FROM offer o WHERE o.id = ANY ($1::text[]) ORDER BY o.id FOR UPDATE
		)
		UPDATE offer o SET version = o.version + 1, open = false, reason = n.reason, closed_at = n.at
		FROM locked JOIN n ON n.id = locked.id
		WHERE o.id = locked.id AND o.order_id = n.order_id AND o.recipient = n.recipient AND o.open
		RETURNING o.order_id, o.id, o.recipient, o.version, o.open`,

	openOffers: `
		INSERT INTO offer AS o (id, order_id, recipient, wave, version, open, expires, data, reason, offered_at)
		SELECT n.id, n.order_id, n.recipient, n.wave, 1, true, n.expires, n.data::json, n.reason, n.at
		FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::timestamptz[], $6::text[], $7::text[], $8::timestamptz[])
			AS n (id, order_id, recipient, wave, expires, data, reason, at)
		ORDER BY n.id COLLATE "C"
		ON CONFLICT (id) DO UPDATE SET version = o.version + 1, open = true, wave = excluded.wave, expires = excluded.expires,
			data = excluded.data, reason = excluded.reason, closed_at = NULL
		WHERE o.order_id = excluded.order_id AND o.recipient = excluded.recipient
		RETURNING order_id, id, recipient, version, open`,
}
