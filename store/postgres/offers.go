package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/ledger"
)

// Offers reads offers and keeps their receipts.
type Offers struct{ db *DB }

var _ ledger.Offers = Offers{}

// NewOffers makes an Offers.
func NewOffers(db *DB) Offers { return Offers{db} }

const offerColumns = `id, order_id, recipient, wave, version, open, expires, data, reason, offered_at,
	delivered_at, seen_at, answered_at, coalesce(answer, ''), closed_at`

func scanOffer(row pgx.CollectableRow) (ledger.Offer, error) {
	var o ledger.Offer
	var delivered, seen, answered, closed *time.Time
	err := row.Scan(&o.ID, &o.OrderID, &o.Recipient, &o.Wave, &o.Version, &o.Open, &o.Expires, &o.Data, &o.Reason, &o.Offered,
		&delivered, &seen, &answered, &o.Answer, &closed)
	o.Expires, o.Offered = o.Expires.UTC(), o.Offered.UTC()
	o.Delivered, o.Seen, o.Answered, o.Closed = utc(delivered), utc(seen), utc(answered), utc(closed)
	return o, err
}

// utc reads NULL as a zero time.
func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// Open implements ledger.Offers.
func (s Offers) Open(ctx context.Context, recipient string, now time.Time, limit int) ([]ledger.Offer, error) {
	return s.collect(ctx, `SELECT `+offerColumns+` FROM offer
		WHERE recipient = $1 AND open AND expires > $2 ORDER BY offered_at DESC, id LIMIT $3`, recipient, now, limit)
}

// OfOrder implements ledger.Offers.
func (s Offers) OfOrder(ctx context.Context, orderID string, limit int) ([]ledger.Offer, error) {
	return s.collect(ctx, `SELECT `+offerColumns+` FROM offer
		WHERE order_id = $1 ORDER BY wave, offered_at, recipient LIMIT $2`, orderID, limit)
}

func (s Offers) collect(ctx context.Context, sql string, args ...any) ([]ledger.Offer, error) {
	rows, err := s.db.General.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("postgres: read offers: %w", err)
	}
	offers, err := pgx.CollectRows(rows, scanOffer)
	if err != nil {
		return nil, fmt.Errorf("postgres: read offers: %w", err)
	}
	return offers, nil
}

// CountOpen implements ledger.Offers.
func (s Offers) CountOpen(ctx context.Context, recipients []string, now time.Time) (map[string]int, error) {
	rows, err := s.db.General.Query(ctx, `SELECT recipient, count(*) FROM offer
		WHERE recipient = ANY ($1::text[]) AND open AND expires > $2 GROUP BY recipient`, recipients, now)
	if err != nil {
		return nil, fmt.Errorf("postgres: count open offers: %w", err)
	}
	counts := make(map[string]int)
	var recipient string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&recipient, &n}, func() error {
		counts[recipient] = n
		return nil
	}); err != nil {
		return nil, fmt.Errorf("postgres: count open offers: %w", err)
	}
	return counts, nil
}

// Tally implements ledger.Offers.
func (s Offers) Tally(ctx context.Context, recipients []string, since time.Time) (map[string]ledger.OfferTally, error) {
	rows, err := s.db.General.Query(ctx, `SELECT recipient, coalesce(answer, ''), count(*),
			coalesce(sum(greatest(0, extract(epoch FROM answered_at - coalesce(delivered_at, offered_at)))) * 1000000, 0)::bigint
		FROM offer
		WHERE recipient = ANY ($1::text[]) AND offered_at >= $2
			AND (answered_at IS NOT NULL OR NOT open AND delivered_at IS NOT NULL)
		GROUP BY 1, 2`, recipients, since)
	if err != nil {
		return nil, fmt.Errorf("postgres: sum up offers: %w", err)
	}
	tallies := make(map[string]ledger.OfferTally)
	var recipient, answer string
	var n int
	var waited int64
	if _, err := pgx.ForEachRow(rows, []any{&recipient, &answer, &n, &waited}, func() error {
		t := tallies[recipient]
		if t.Answers == nil {
			t.Answers = make(map[string]int)
		}
		t.Answers[answer] = n
		t.Waited += time.Duration(waited) * time.Microsecond
		tallies[recipient] = t
		return nil
	}); err != nil {
		return nil, fmt.Errorf("postgres: sum up offers: %w", err)
	}
	return tallies, nil
}

// Offers are locked by id, as their orders' transitions lock them. Of receipts for one offer in one call
// the first time of each kind counts.
const receive = `
	WITH n AS (
		SELECT id, recipient, min(delivered) AS delivered, min(seen) AS seen, min(answered) AS answered,
			(array_agg(answer ORDER BY answered) FILTER (WHERE answered IS NOT NULL))[1] AS answer
		FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::text[])
			AS n (id, recipient, delivered, seen, answered, answer)
		GROUP BY id, recipient
	), locked AS MATERIALIZED (
		SELECT o.id FROM offer o WHERE o.id = ANY ($1::text[]) ORDER BY o.id FOR UPDATE
	)
	UPDATE offer o SET delivered_at = coalesce(o.delivered_at, n.delivered), seen_at = coalesce(o.seen_at, n.seen),
		answered_at = coalesce(o.answered_at, n.answered), answer = coalesce(o.answer, n.answer)
	FROM locked JOIN n ON n.id = locked.id
	WHERE o.id = locked.id AND o.recipient = n.recipient
		AND ((o.delivered_at IS NULL AND n.delivered IS NOT NULL) OR (o.seen_at IS NULL AND n.seen IS NOT NULL)
			OR (o.answered_at IS NULL AND n.answered IS NOT NULL))`

// Receipt implements ledger.Offers.
func (s Offers) Receipt(ctx context.Context, rs []ledger.OfferReceipt) error {
	if len(rs) == 0 {
		return nil
	}
	n := len(rs)
	ids, recipients, answers := make([]string, n), make([]string, n), make([]string, n)
	delivered, seen, answered := make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
	for i, r := range rs {
		ids[i], recipients[i], answers[i] = r.ID, r.Recipient, r.Answer
		delivered[i], seen[i], answered[i] = optional(r.Delivered), optional(r.Seen), optional(r.Answered)
	}
	if _, err := s.db.General.Exec(ctx, receive, ids, recipients, delivered, seen, answered, answers); err != nil {
		return fmt.Errorf("postgres: receipts of offers: %w", err)
	}
	return nil
}
