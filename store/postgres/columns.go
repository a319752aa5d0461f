package postgres

import (
	"time"

	"weelo/internal/ledger"
)

// Every function here lays out some rows as one array per column, in the order of the statement's
// parameters, or gives nil when there is none.

func updateColumns(ts []ledger.Transition, order []int, kind ledger.Kind) []any {
	var ids, states []string
	var versions, epochs []int64
	var ats []time.Time
	var scopes, keys []*string
	for _, i := range order {
		t := &ts[i]
		if t.Ref.Kind != kind || t.Version == 0 {
			continue
		}
		ids, states = append(ids, t.Ref.ID), append(states, string(t.State))
		versions, epochs = append(versions, t.Version), append(epochs, t.Epoch)
		ats = append(ats, t.At)
		scope, key := command(t)
		scopes, keys = append(scopes, scope), append(keys, key)
	}
	if ids == nil {
		return nil
	}
	return []any{ids, versions, epochs, states, ats, scopes, keys}
}

func birthColumns(ts []ledger.Transition, order []int, kind ledger.Kind) []any {
	var ids, states []string
	var ats []time.Time
	var scopes, keys []*string
	for _, i := range order {
		t := &ts[i]
		if t.Ref.Kind != kind || t.Version != 0 {
			continue
		}
		ids, states, ats = append(ids, t.Ref.ID), append(states, string(t.State)), append(ats, t.At)
		scope, key := command(t)
		scopes, keys = append(scopes, scope), append(keys, key)
	}
	if ids == nil {
		return nil
	}
	return []any{ids, states, ats, scopes, keys}
}

func command(t *ledger.Transition) (scope, key *string) {
	if t.Idem == nil {
		return nil, nil
	}
	return &t.Idem.Scope, &t.Idem.Key
}

func cancelledTimerColumns(ts []ledger.Transition, accepted []int) []any {
	var kinds, ids, names []string
	for _, i := range accepted {
		for _, c := range ts[i].Timers {
			if c.Due.IsZero() {
				kinds, ids, names = append(kinds, string(ts[i].Ref.Kind)), append(ids, ts[i].Ref.ID), append(names, c.Name)
			}
		}
	}
	if names == nil {
		return nil
	}
	return []any{kinds, ids, names}
}

func armedTimerColumns(ts []ledger.Transition, accepted []int) []any {
	var kinds, ids, names []string
	var dues []time.Time
	var numbers []int64
	for _, i := range accepted {
		for _, c := range ts[i].Timers {
			if c.Due.IsZero() {
				continue
			}
			kinds, ids, names = append(kinds, string(ts[i].Ref.Kind)), append(ids, ts[i].Ref.ID), append(names, c.Name)
			dues, numbers = append(dues, c.Due), append(numbers, c.Number)
		}
	}
	if names == nil {
		return nil
	}
	return []any{kinds, ids, names, dues, numbers}
}

func outboxColumns(ts []ledger.Transition, accepted []int) []any {
	var ids, channels, recipients, types, bodies, kinds, aggregates []string
	var deadlines []*time.Time
	var dues []time.Time
	var versions []int64
	for _, i := range accepted {
		t := &ts[i]
		for _, m := range t.Outbox {
			due := m.NotBefore
			if due.IsZero() {
				due = t.At
			}
			ids, channels, recipients = append(ids, m.ID), append(channels, m.Channel), append(recipients, m.To)
			types, bodies = append(types, m.Type), append(bodies, string(m.Body))
			deadlines, dues = append(deadlines, optional(m.Deadline)), append(dues, due)
			kinds, aggregates = append(kinds, string(t.Ref.Kind)), append(aggregates, t.Ref.ID)
			versions = append(versions, t.Version+1)
		}
	}
	if ids == nil {
		return nil
	}
	return []any{ids, channels, recipients, types, bodies, deadlines, dues, kinds, aggregates, versions}
}

func idemColumns(ts []ledger.Transition, accepted []int) []any {
	var scopes, keys, hashes, kinds, aggregates []string
	var replies []*string
	var versions []int64
	var ats []time.Time
	for _, i := range accepted {
		t := &ts[i]
		if t.Idem == nil {
			continue
		}
		scopes, keys, hashes = append(scopes, t.Idem.Scope), append(keys, t.Idem.Key), append(hashes, t.Idem.Hash)
		var reply *string
		if t.Idem.Reply != nil {
			text := string(t.Idem.Reply)
			reply = &text
		}
		replies = append(replies, reply)
		kinds, aggregates = append(kinds, string(t.Ref.Kind)), append(aggregates, t.Ref.ID)
		versions, ats = append(versions, t.Version+1), append(ats, t.At)
	}
	if keys == nil {
		return nil
	}
	return []any{scopes, keys, hashes, replies, kinds, aggregates, versions, ats}
}

func eventColumns(ts []ledger.Transition, accepted []int) []any {
	var kinds, aggregates, ids, types, data []string
	var versions, epochs []int64
	var ordinals, payloads []int32
	var ats []time.Time
	var expires []*time.Time
	var trips, orders []*string
	for _, i := range accepted {
		t := &ts[i]
		for j := range t.Events {
			e := &t.Events[j]
			kinds, aggregates = append(kinds, string(t.Ref.Kind)), append(aggregates, t.Ref.ID)
			versions, epochs = append(versions, t.Version+1), append(epochs, t.Epoch)
			ordinals, payloads = append(ordinals, int32(j)), append(payloads, int32(e.PayloadVersion)) //nolint:gosec // both are small counts
			ids, types, data = append(ids, e.ID), append(types, e.Type), append(data, string(e.Data))
			ats, expires = append(ats, e.At), append(expires, optional(e.Expires))
			trips, orders = append(trips, optionalText(e.TripID)), append(orders, optionalText(e.OrderID))
		}
	}
	if ids == nil {
		return nil
	}
	return []any{kinds, aggregates, versions, ordinals, epochs, ids, types, payloads, ats, expires, trips, orders, data}
}

func inboxColumns(ts []ledger.Transition, entries []ledger.Entry, heads ledger.Heads) []any {
	n := len(entries)
	recipients, kinds, aggregates := make([]string, n), make([]string, n), make([]string, n)
	backs, versions := make([]int64, n), make([]int64, n)
	ordinals, ats := make([]int32, n), make([]time.Time, n)
	for i, e := range entries {
		t := &ts[e.Transition]
		recipients[i], kinds[i], aggregates[i] = e.Recipient, string(t.Ref.Kind), t.Ref.ID
		backs[i], versions[i] = int64(e.Back), t.Version+1
		ordinals[i], ats[i] = int32(e.Event), t.At //nolint:gosec // the place in one transition, a small count
	}
	return []any{heads.Recipients, heads.Counts, recipients, backs, kinds, aggregates, versions, ordinals, ats}
}

// optional stores a zero time as NULL.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func optionalText(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
