package postgres

import (
	"cmp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"weelo/internal/ledger"
)

// queueOffers writes the offers of the accepted transitions and notes their versions in the outcomes.
func (t *transaction) queueOffers(batch *pgx.Batch) {
	all, stays := closeAllColumns(t.ts, t.accepted)
	closing, opening := closingColumns(t.ts, t.accepted), openingColumns(t.ts, t.accepted)
	statements := 0
	for _, args := range [][]any{all, closing, opening} {
		if args != nil {
			statements++
		}
	}
	if statements > 1 {
		batch.Queue(t.sql.lockOffers, namedOffers(t.ts, t.accepted), firstColumn(all))
	}
	at := make(map[string]int, len(t.accepted)) // of an order: its transition
	for _, i := range t.accepted {
		if t.ts[i].Ref.Kind == ledger.Order {
			at[t.ts[i].Ref.ID] = i
		}
	}
	note := func(rows pgx.Rows) error {
		var order string
		var v ledger.OfferVersion
		_, err := pgx.ForEachRow(rows, []any{&order, &v.ID, &v.Recipient, &v.Version, &v.Open}, func() error {
			o := &t.outcomes[at[order]]
			o.Offers = append(o.Offers, v)
			return nil
		})
		return err
	}
	if all != nil {
		batch.Queue(t.sql.closeAll, append(all, stays...)...).Query(note)
	}
	if closing != nil {
		batch.Queue(t.sql.closeOffers, closing...).Query(note)
	}
	if opening != nil {
		batch.Queue(t.sql.openOffers, opening...).Query(note)
	}
}

// sortOffers gives each changed offer once, as it was left, by recipient.
func sortOffers(vs []ledger.OfferVersion) []ledger.OfferVersion {
	slices.SortFunc(vs, func(a, b ledger.OfferVersion) int {
		return cmp.Or(cmp.Compare(a.Recipient, b.Recipient), cmp.Compare(b.Version, a.Version))
	})
	return slices.CompactFunc(vs, func(a, b ledger.OfferVersion) bool { return a.ID == b.ID })
}

func closeAllColumns(ts []ledger.Transition, accepted []int) (all, stays []any) {
	var orders, reasons, exceptOf, except []string
	var ats []time.Time
	for _, i := range accepted {
		t := &ts[i]
		if t.CloseOffers == nil {
			continue
		}
		orders, reasons, ats = append(orders, t.Ref.ID), append(reasons, t.CloseOffers.Reason), append(ats, t.At)
		for _, recipient := range t.CloseOffers.Except {
			exceptOf, except = append(exceptOf, t.Ref.ID), append(except, recipient)
		}
	}
	if orders == nil {
		return nil, nil
	}
	return []any{orders, reasons, ats}, []any{exceptOf, except}
}

func closingColumns(ts []ledger.Transition, accepted []int) []any {
	var ids, orders, recipients, reasons []string
	var ats []time.Time
	for _, i := range accepted {
		for _, o := range ts[i].Offers {
			if o.Open {
				continue
			}
			ids, orders, recipients = append(ids, o.ID), append(orders, ts[i].Ref.ID), append(recipients, o.Recipient)
			reasons, ats = append(reasons, o.Reason), append(ats, ts[i].At)
		}
	}
	if ids == nil {
		return nil
	}
	return []any{ids, orders, recipients, reasons, ats}
}

func openingColumns(ts []ledger.Transition, accepted []int) []any {
	var ids, orders, recipients, data, reasons []string
	var waves []int32
	var expires, ats []time.Time
	for _, i := range accepted {
		for _, o := range ts[i].Offers {
			if !o.Open {
				continue
			}
			ids, orders, recipients = append(ids, o.ID), append(orders, ts[i].Ref.ID), append(recipients, o.Recipient)
			waves, expires = append(waves, int32(o.Wave)), append(expires, o.Expires) //nolint:gosec // waves are fewer than ten
			data, reasons, ats = append(data, string(o.Data)), append(reasons, o.Reason), append(ats, ts[i].At)
		}
	}
	if ids == nil {
		return nil
	}
	return []any{ids, orders, recipients, waves, expires, data, reasons, ats}
}

func namedOffers(ts []ledger.Transition, accepted []int) []string {
	ids := []string{}
	for _, i := range accepted {
		for _, o := range ts[i].Offers {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

func firstColumn(args []any) any {
	if args == nil {
		return []string{}
	}
	return args[0]
}
