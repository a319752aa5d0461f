package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"weelo/internal/ledger"
)

// transaction is one try at writing some transitions.
type transaction struct {
	*flusher
	tx       *sql.Tx
	ts       []ledger.Transition
	outcomes []ledger.Outcome
	accepted []int // indexes into ts
	guard    bool  // a savepoint before each transition
	bound    map[string]*sql.Stmt
}

// bind gives a prepared statement within this transaction.
func (t *transaction) bind(ctx context.Context, text string) *sql.Stmt {
	stmt, ok := t.bound[text]
	if !ok {
		stmt = t.tx.StmtContext(ctx, t.prepared[text])
		t.bound[text] = stmt
	}
	return stmt
}

func (t *transaction) exec(ctx context.Context, text string, args ...any) (int64, error) {
	result, err := t.bind(ctx, text).ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (t *transaction) row(ctx context.Context, text string, args ...any) *sql.Row {
	return t.bind(ctx, text).QueryRowContext(ctx, args...)
}

// errUnguarded: a statement was refused, and there is no savepoint to go back to.
var errUnguarded = errors.New("refused without a savepoint")

// write takes every transition, in the order that every lane locks in, then numbers the inbox entries
// of the accepted ones. It ends with ctx between two transitions: for each statement that could be
// interrupted itself the driver starts a goroutine, which was a quarter of a flush.
func (t *transaction) write(ctx context.Context) error {
	statements := context.WithoutCancel(ctx)
	for _, i := range lockOrder(t.ts) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := t.guarded(statements, i); err != nil {
			return err
		}
	}
	return t.number(statements)
}

// lockOrder gives the indexes of ts: orders by id, then trips by id.
func lockOrder(ts []ledger.Transition) []int {
	order := make([]int, len(ts))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(ts[a].Ref.Kind, ts[b].Ref.Kind), cmp.Compare(ts[a].Ref.ID, ts[b].Ref.ID))
	})
	return order
}

// guarded writes one transition or takes it back. An error is one that the transaction does not
// survive.
func (t *transaction) guarded(ctx context.Context, i int) error {
	if !t.guard {
		return t.unguarded(ctx, i)
	}
	if _, err := t.exec(ctx, savepoint); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	o, err := t.one(ctx, &t.ts[i])
	if err != nil {
		if !refused(err) {
			return err
		}
		o = refusal(err)
	}
	if o.Status == ledger.Committed {
		t.accepted = append(t.accepted, i)
	} else if _, err := t.exec(ctx, rollbackTo); err != nil {
		return fmt.Errorf("rollback to savepoint: %w", err)
	}
	t.outcomes[i] = o
	if _, err := t.exec(ctx, release); err != nil {
		return fmt.Errorf("release savepoint: %w", err)
	}
	return nil
}

// refusal is the outcome of a transition that a statement refused.
func refusal(err error) ledger.Outcome {
	if constraint, ok := taken(err); ok {
		return ledger.Outcome{Status: ledger.Taken, Constraint: constraint, Err: err}
	}
	return ledger.Outcome{Status: ledger.Failed, Err: err}
}

// unguarded writes one transition that nothing is expected to refuse. One that hits no row has
// written nothing by then.
func (t *transaction) unguarded(ctx context.Context, i int) error {
	o, err := t.one(ctx, &t.ts[i])
	switch {
	case err != nil && refused(err):
		return errUnguarded
	case err != nil:
		return err
	case o.Status == ledger.Committed:
		t.accepted = append(t.accepted, i)
	}
	t.outcomes[i] = o
	return nil
}

// one writes a transition but for its inbox entries. Committed means: if COMMIT succeeds.
func (t *transaction) one(ctx context.Context, tr *ledger.Transition) (ledger.Outcome, error) {
	if tr.Idem != nil {
		used, err := t.usedCommand(ctx, *tr.Idem)
		if err != nil || used != nil {
			return ledger.Judge(*tr, nil, used), err
		}
	}
	hit, err := t.aggregate(ctx, tr)
	if err != nil {
		return ledger.Outcome{}, err
	}
	if !hit {
		return t.verdict(ctx, tr)
	}
	return t.belongings(ctx, tr)
}

func (t *transaction) usedCommand(ctx context.Context, command ledger.Idem) (*ledger.Idem, error) {
	used := ledger.Idem{Scope: command.Scope, Key: command.Key}
	var reply []byte
	err := t.row(ctx, t.texts.used, command.Scope, command.Key).Scan(&used.Hash, &reply)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // none is an answer
	}
	used.Reply = reply
	return &used, err
}

func (t *transaction) aggregate(ctx context.Context, tr *ledger.Transition) (hit bool, err error) {
	at := micros(tr.At)
	if tr.Version == 0 {
		_, err := t.exec(ctx, t.texts.birth[tr.Ref.Kind], string(tr.State), at, tr.Ref.ID)
		return err == nil, err
	}
	n, err := t.exec(ctx, t.texts.update[tr.Ref.Kind], string(tr.State), at, tr.Ref.ID, tr.Version, tr.Epoch)
	return n > 0, err
}

func (t *transaction) verdict(ctx context.Context, tr *ledger.Transition) (ledger.Outcome, error) {
	var p ledger.Place
	err := t.row(ctx, t.texts.where[tr.Ref.Kind], tr.Ref.ID).Scan(&p.Version, &p.Epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return ledger.Judge(*tr, nil, nil), nil
	}
	return ledger.Judge(*tr, &p, nil), err
}

// belongings writes offers, timers, messages, the idempotency record and events. Committed means: if
// COMMIT succeeds.
func (t *transaction) belongings(ctx context.Context, tr *ledger.Transition) (ledger.Outcome, error) {
	offers, err := t.offers(ctx, tr)
	if err == nil {
		err = t.inserts(ctx, tr)
	}
	return ledger.Outcome{Status: ledger.Committed, Offers: offers}, err
}

func (t *transaction) inserts(ctx context.Context, tr *ledger.Transition) error {
	kind, id, version := string(tr.Ref.Kind), tr.Ref.ID, tr.Version+1
	for _, c := range tr.Timers {
		var err error
		if c.Due.IsZero() {
			_, err = t.exec(ctx, t.texts.cancelTimer, kind, id, c.Name)
		} else {
			_, err = t.exec(ctx, t.texts.armTimer, kind, id, c.Name, micros(c.Due), c.Number)
		}
		if err != nil {
			return fmt.Errorf("timer: %w", err)
		}
	}
	for _, m := range tr.Outbox {
		due := m.NotBefore
		if due.IsZero() {
			due = tr.At
		}
		if _, err := t.exec(ctx, t.texts.message, m.ID, m.Channel, m.To, m.Type, string(m.Body), optional(m.Deadline), micros(due), kind, id, version); err != nil {
			return fmt.Errorf("outbox: %w", err)
		}
	}
	if c := tr.Idem; c != nil {
		if _, err := t.exec(ctx, t.texts.idem, c.Scope, c.Key, c.Hash, optionalJSON(c.Reply), kind, id, version, micros(tr.At)); err != nil {
			return fmt.Errorf("idem: %w", err)
		}
	}
	for i, e := range tr.Events {
		if _, err := t.exec(ctx, t.texts.event, kind, id, version, i, tr.Epoch, e.ID, e.Type, e.PayloadVersion,
			micros(e.At), optional(e.Expires), optionalText(e.TripID), optionalText(e.OrderID), string(e.Data)); err != nil {
			return fmt.Errorf("event: %w", err)
		}
	}
	return nil
}

// number gives the accepted transitions' events their inbox numbers.
func (t *transaction) number(ctx context.Context) error {
	entries, heads := ledger.Address(t.ts, t.accepted)
	raised := make(map[string]int64, len(heads.Recipients))
	for i, recipient := range heads.Recipients {
		var seq int64
		if err := t.row(ctx, t.texts.head, recipient, heads.Counts[i]).Scan(&seq); err != nil {
			return fmt.Errorf("inbox head: %w", err)
		}
		raised[recipient] = seq
	}
	for _, e := range entries {
		tr, seq := &t.ts[e.Transition], raised[e.Recipient]-int64(e.Back)
		if _, err := t.exec(ctx, t.texts.entry, e.Recipient, seq, string(tr.Ref.Kind), tr.Ref.ID, tr.Version+1, e.Event, micros(tr.At)); err != nil {
			return fmt.Errorf("inbox: %w", err)
		}
		o := &t.outcomes[e.Transition]
		o.Numbers = append(o.Numbers, ledger.Number{Event: e.Event, Recipient: e.Recipient, Seq: seq})
	}
	return nil
}

func optionalText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func optionalJSON(raw []byte) any {
	if raw == nil {
		return nil
	}
	return string(raw)
}
