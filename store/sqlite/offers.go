package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"weelo/internal/ledger"
)

// Offers reads offers and keeps their receipts.
type Offers struct{ db *DB }

var _ ledger.Offers = Offers{}

// NewOffers makes an Offers.
func NewOffers(db *DB) Offers { return Offers{db} }

const offerColumns = `id, order_id, recipient, wave, version, open, expires, data, reason, offered_at,
	delivered_at, seen_at, answered_at, coalesce(answer, ''), closed_at`

func scanOffer(rows *sql.Rows) (ledger.Offer, error) {
	var o ledger.Offer
	var data []byte
	var expires, offered int64
	var delivered, seen, answered, closed sql.NullInt64
	err := rows.Scan(&o.ID, &o.OrderID, &o.Recipient, &o.Wave, &o.Version, &o.Open, &expires, &data, &o.Reason, &offered,
		&delivered, &seen, &answered, &o.Answer, &closed)
	o.Data, o.Expires, o.Offered = data, instant(expires), instant(offered)
	o.Delivered, o.Seen, o.Answered, o.Closed = maybe(delivered), maybe(seen), maybe(answered), maybe(closed)
	return o, err
}

// maybe reads NULL as a zero time.
func maybe(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return instant(us.Int64)
}

// Open implements ledger.Offers.
func (s Offers) Open(ctx context.Context, recipient string, now time.Time, limit int) ([]ledger.Offer, error) {
	return s.collect(ctx, `SELECT `+offerColumns+` FROM offer
		WHERE recipient = ? AND open AND expires > ? ORDER BY offered_at DESC, id LIMIT ?`, recipient, micros(now), limit)
}

// OfOrder implements ledger.Offers.
func (s Offers) OfOrder(ctx context.Context, orderID string, limit int) ([]ledger.Offer, error) {
	return s.collect(ctx, `SELECT `+offerColumns+` FROM offer
		WHERE order_id = ? ORDER BY wave, offered_at, recipient LIMIT ?`, orderID, limit)
}

func (s Offers) collect(ctx context.Context, text string, args ...any) ([]ledger.Offer, error) {
	rows, err := s.db.Read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("sqlite: read offers: %w", err)
	}
	defer rows.Close()
	var offers []ledger.Offer
	for rows.Next() {
		o, err := scanOffer(rows)
		if err != nil {
			return nil, fmt.Errorf("sqlite: read offers: %w", err)
		}
		offers = append(offers, o)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlite: read offers: %w", err)
	}
	return offers, nil
}

// CountOpen implements ledger.Offers.
func (s Offers) CountOpen(ctx context.Context, recipients []string, now time.Time) (map[string]int, error) {
	list, err := json.Marshal(append([]string{}, recipients...))
	if err != nil {
		return nil, fmt.Errorf("sqlite: count open offers: %w", err)
	}
	rows, err := s.db.Read.QueryContext(ctx, `SELECT recipient, count(*) FROM offer
		WHERE recipient IN (SELECT value FROM json_each(?)) AND open AND expires > ? GROUP BY recipient`, string(list), micros(now))
	if err != nil {
		return nil, fmt.Errorf("sqlite: count open offers: %w", err)
	}
	defer rows.Close()
	counts := make(map[string]int)
	for rows.Next() {
		var recipient string
		var n int
		if err := rows.Scan(&recipient, &n); err != nil {
			return nil, fmt.Errorf("sqlite: count open offers: %w", err)
		}
		counts[recipient] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlite: count open offers: %w", err)
	}
	return counts, nil
}

// Tally implements ledger.Offers.
func (s Offers) Tally(ctx context.Context, recipients []string, since time.Time) (map[string]ledger.OfferTally, error) {
	wrap := func(err error) error { return fmt.Errorf("sqlite: sum up offers: %w", err) }
	list, err := json.Marshal(append([]string{}, recipients...))
	if err != nil {
		return nil, wrap(err)
	}
	rows, err := s.db.Read.QueryContext(ctx, `SELECT recipient, coalesce(answer, ''), count(*),
			coalesce(sum(max(0, answered_at - coalesce(delivered_at, offered_at))), 0)
		FROM offer
		WHERE recipient IN (SELECT value FROM json_each(?)) AND offered_at >= ?
			AND (answered_at IS NOT NULL OR NOT open AND delivered_at IS NOT NULL)
		GROUP BY 1, 2`, string(list), micros(since))
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	tallies := make(map[string]ledger.OfferTally)
	for rows.Next() {
		var recipient, answer string
		var n int
		var waited int64
		if err := rows.Scan(&recipient, &answer, &n, &waited); err != nil {
			return nil, wrap(err)
		}
		t := tallies[recipient]
		if t.Answers == nil {
			t.Answers = make(map[string]int)
		}
		t.Answers[answer] = n
		t.Waited += time.Duration(waited) * time.Microsecond
		tallies[recipient] = t
	}
	if err := rows.Err(); err != nil {
		return nil, wrap(err)
	}
	return tallies, nil
}

// receive keeps one receipt. In one call the first time of each kind counts, so they come sorted.
const receive = `UPDATE offer SET delivered_at = coalesce(delivered_at, ?3), seen_at = coalesce(seen_at, ?4),
	answered_at = coalesce(answered_at, ?5), answer = CASE WHEN ?5 IS NULL THEN answer ELSE coalesce(answer, ?6) END
	WHERE id = ?1 AND recipient = ?2`

// Receipt implements ledger.Offers.
func (s Offers) Receipt(ctx context.Context, rs []ledger.OfferReceipt) error {
	if len(rs) == 0 {
		return nil
	}
	wrap := func(err error) error { return fmt.Errorf("sqlite: receipts of offers: %w", err) }
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = tx.Rollback() }()
	stmt, err := tx.PrepareContext(ctx, receive)
	if err != nil {
		return wrap(err)
	}
	defer stmt.Close()
	for _, r := range firstOfEach(rs) {
		if _, err := stmt.ExecContext(ctx, r.ID, r.Recipient, optional(r.Delivered), optional(r.Seen), optional(r.Answered), r.Answer); err != nil {
			return wrap(err)
		}
	}
	if err := tx.Commit(); err != nil {
		return wrap(err)
	}
	return nil
}

// firstOfEach joins the receipts of each offer: of every kind the earliest.
func firstOfEach(rs []ledger.OfferReceipt) []ledger.OfferReceipt {
	sorted := slices.Clone(rs)
	slices.SortStableFunc(sorted, func(a, b ledger.OfferReceipt) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Recipient, b.Recipient))
	})
	joined := sorted[:0]
	for _, r := range sorted {
		if n := len(joined); n == 0 || joined[n-1].ID != r.ID || joined[n-1].Recipient != r.Recipient {
			joined = append(joined, r)
			continue
		}
		last := &joined[len(joined)-1]
		last.Delivered, last.Seen = earlier(last.Delivered, r.Delivered), earlier(last.Seen, r.Seen)
		if first := earlier(last.Answered, r.Answered); !first.Equal(last.Answered) {
			last.Answered, last.Answer = first, r.Answer
		}
	}
	return joined
}

// earlier gives the earlier of two times, of which a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
