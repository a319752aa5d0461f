package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"weelo/internal/ledger"
)

// offers writes the offers of one transition and gives each changed one once, as it was left, by
// recipient.
func (t *transaction) offers(ctx context.Context, tr *ledger.Transition) ([]ledger.OfferVersion, error) {
	if tr.CloseOffers == nil && len(tr.Offers) == 0 {
		return nil, nil
	}
	var changed []ledger.OfferVersion
	if tr.CloseOffers != nil {
		closed, err := t.closeOffers(ctx, tr)
		if err != nil {
			return nil, err
		}
		changed = closed
	}
	for _, o := range tr.Offers {
		v := ledger.OfferVersion{ID: o.ID, Recipient: o.Recipient, Open: o.Open}
		text, args := t.texts.closeOffer, []any{o.ID, tr.Ref.ID, o.Recipient, o.Reason, micros(tr.At)}
		if o.Open {
			text, args = t.texts.openOffer, []any{o.ID, tr.Ref.ID, o.Recipient, o.Wave, micros(o.Expires), string(o.Data), o.Reason, micros(tr.At)}
		}
		switch err := t.row(ctx, text, args...).Scan(&v.Version); {
		case errors.Is(err, sql.ErrNoRows): // closed already, or somebody else's
		case err != nil:
			return nil, fmt.Errorf("offer: %w", err)
		default:
			changed = append(changed, v)
		}
	}
	slices.SortFunc(changed, func(a, b ledger.OfferVersion) int {
		return cmp.Or(cmp.Compare(a.Recipient, b.Recipient), cmp.Compare(b.Version, a.Version))
	})
	return slices.CompactFunc(changed, func(a, b ledger.OfferVersion) bool { return a.ID == b.ID }), nil
}

func (t *transaction) closeOffers(ctx context.Context, tr *ledger.Transition) ([]ledger.OfferVersion, error) {
	except, err := json.Marshal(append([]string{}, tr.CloseOffers.Except...))
	if err != nil {
		return nil, fmt.Errorf("close offers: %w", err)
	}
	rows, err := t.bind(ctx, t.texts.closeAll).QueryContext(ctx, tr.Ref.ID, tr.CloseOffers.Reason, micros(tr.At), string(except))
	if err != nil {
		return nil, fmt.Errorf("close offers: %w", err)
	}
	defer rows.Close()
	var closed []ledger.OfferVersion
	for rows.Next() {
		var v ledger.OfferVersion
		if err := rows.Scan(&v.ID, &v.Recipient, &v.Version); err != nil {
			return nil, fmt.Errorf("close offers: %w", err)
		}
		closed = append(closed, v)
	}
	return closed, rows.Err()
}
