package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"weelo/internal/ledger"
)

// attempt writes ts in one transaction of two round trips: BEGIN and the guarded writes; then, for
// what was accepted, everything that belongs to it, and COMMIT. An error means that nothing was
// written, or, as an unknownError, that nobody knows.
func (f *flusher) attempt(ctx context.Context, ts []ledger.Transition) ([]ledger.Outcome, error) {
	conn, err := f.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	t := transaction{flusher: f, ts: ts, outcomes: make([]ledger.Outcome, len(ts))}
	err = t.write(ctx, conn.Conn())
	if err == nil {
		err = t.complete(ctx, conn.Conn())
	}
	if err != nil {
		abandon(conn, err)
		return nil, err
	}
	return t.outcomes, nil
}

// abandon leaves the connection usable or closed. A server that turned read-only or is going down
// is not asked again on the same connection.
func abandon(conn *pgxpool.Conn, err error) {
	c := conn.Conn()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var pg *pgconn.PgError
	fatal := errors.As(err, &pg) && (pg.Code == "25006" || pg.Severity != "ERROR")
	if !c.IsClosed() && !fatal {
		if _, err := c.Exec(ctx, "rollback"); err == nil {
			return
		}
	}
	_ = c.Close(ctx)
}

// transaction is one try at writing some transitions.
type transaction struct {
	*flusher
	ts       []ledger.Transition
	outcomes []ledger.Outcome
	accepted []int // indexes into ts, in lock order
	rejected []int
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

// write is the first round trip. It locks and writes rows and learns which were accepted.
func (t *transaction) write(ctx context.Context, c *pgx.Conn) error {
	batch := &pgx.Batch{}
	batch.Queue("begin")
	order := t.order(t.ts)
	hit := make(map[ledger.Ref]bool, len(order))
	for _, kind := range []ledger.Kind{ledger.Order, ledger.Trip} {
		note := func(rows pgx.Rows) error {
			ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
			for _, id := range ids {
				hit[ledger.Ref{Kind: kind, ID: id}] = true
			}
			return err
		}
		if args := updateColumns(t.ts, order, kind); args != nil {
			batch.Queue(t.sql.update[kind], args...).Query(note)
		}
		if args := birthColumns(t.ts, order, kind); args != nil {
			if keys := contested(t.ts); keys != nil {
				batch.Queue(t.sql.lockKeys, keys)
			}
			batch.Queue(t.sql.birth[kind], args...).Query(note)
		}
	}
	if err := c.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	for _, i := range order {
		if hit[t.ts[i].Ref] {
			t.accepted = append(t.accepted, i)
		} else {
			t.rejected = append(t.rejected, i)
		}
	}
	return nil
}

// complete is the second round trip. What was rejected is looked up again to say why; what was
// accepted gets its timers, messages, record, events and inbox numbers, and is committed.
func (t *transaction) complete(ctx context.Context, c *pgx.Conn) error {
	batch := &pgx.Batch{}
	found := t.queueLookups(batch)
	entries, heads := ledger.Address(t.ts, t.accepted)
	raised := make(map[string]int64, len(heads.Recipients))
	if len(t.accepted) == 0 {
		batch.Queue("rollback")
	} else {
		t.queueInserts(batch, entries, heads, raised)
		batch.Queue("commit")
	}
	if err := c.SendBatch(ctx, batch).Close(); err != nil {
		if len(t.accepted) > 0 && !definite(err) {
			return unknownError{err}
		}
		return err
	}
	for _, i := range t.rejected {
		t.outcomes[i] = found.judge(t.ts[i])
	}
	t.committed(entries, raised)
	return nil
}

// committed answers what was accepted, with the inbox numbers it got.
func (t *transaction) committed(entries []ledger.Entry, raised map[string]int64) {
	for _, i := range t.accepted {
		t.outcomes[i].Status = ledger.Committed
		t.outcomes[i].Offers = sortOffers(t.outcomes[i].Offers)
	}
	for _, e := range entries {
		o := &t.outcomes[e.Transition]
		o.Numbers = append(o.Numbers, ledger.Number{Event: e.Event, Recipient: e.Recipient, Seq: raised[e.Recipient] - int64(e.Back)})
	}
}

// definite tells whether an error of the round trip that held COMMIT proves that nothing was
// committed: the server said so, in an answer that did not also end the session.
func definite(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Severity == "ERROR"
}

func (t *transaction) queueInserts(batch *pgx.Batch, entries []ledger.Entry, heads ledger.Heads, raised map[string]int64) {
	queue := func(sql string, args []any) {
		if args != nil {
			batch.Queue(sql, args...)
		}
	}
	t.queueOffers(batch)
	queue(t.sql.cancelTimers, cancelledTimerColumns(t.ts, t.accepted))
	queue(t.sql.armTimers, armedTimerColumns(t.ts, t.accepted))
	queue(t.sql.outbox, outboxColumns(t.ts, t.accepted))
	queue(t.sql.idem, idemColumns(t.ts, t.accepted))
	queue(t.sql.event, eventColumns(t.ts, t.accepted))
	if len(entries) == 0 {
		return
	}
	batch.Queue(t.sql.inbox, inboxColumns(t.ts, entries, heads)...).Query(func(rows pgx.Rows) error {
		var recipient string
		var seq int64
		_, err := pgx.ForEachRow(rows, []any{&recipient, &seq}, func() error {
			raised[recipient] = seq
			return nil
		})
		return err
	})
}

// lookups is what a re-read found about rejected transitions.
type lookups struct {
	places map[ledger.Ref]ledger.Place
	used   map[[2]string]ledger.Idem
}

func (t *transaction) queueLookups(batch *pgx.Batch) lookups {
	l := lookups{places: make(map[ledger.Ref]ledger.Place), used: make(map[[2]string]ledger.Idem)}
	ids := make(map[ledger.Kind][]string)
	var scopes, keys []string
	for _, i := range t.rejected {
		ids[t.ts[i].Ref.Kind] = append(ids[t.ts[i].Ref.Kind], t.ts[i].Ref.ID)
		if used := t.ts[i].Idem; used != nil {
			scopes, keys = append(scopes, used.Scope), append(keys, used.Key)
		}
	}
	for _, kind := range []ledger.Kind{ledger.Order, ledger.Trip} {
		if len(ids[kind]) == 0 {
			continue
		}
		batch.Queue(t.sql.where[kind], ids[kind]).Query(func(rows pgx.Rows) error {
			ref, p := ledger.Ref{Kind: kind}, ledger.Place{}
			_, err := pgx.ForEachRow(rows, []any{&ref.ID, &p.Version, &p.Epoch}, func() error {
				l.places[ref] = p
				return nil
			})
			return err
		})
	}
	if len(keys) > 0 {
		batch.Queue(t.sql.usedCommands, scopes, keys).Query(noteUsed(l.used))
	}
	return l
}

// noteUsed reads the records of used commands.
func noteUsed(into map[[2]string]ledger.Idem) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var u ledger.Idem
		var reply []byte
		_, err := pgx.ForEachRow(rows, []any{&u.Scope, &u.Key, &u.Hash, &reply}, func() error {
			u.Reply = slices.Clone(reply)
			into[[2]string{u.Scope, u.Key}] = u
			return nil
		})
		return err
	}
}

func (l lookups) judge(t ledger.Transition) ledger.Outcome {
	var used *ledger.Idem
	var row *ledger.Place
	if t.Idem != nil {
		if u, ok := l.used[[2]string{t.Idem.Scope, t.Idem.Key}]; ok {
			used = &u
		}
	}
	if p, ok := l.places[t.Ref]; ok {
		row = &p
	}
	o := ledger.Judge(t, row, used)
	if o.Status == ledger.Broken {
		o.Err = fmt.Errorf("postgres: %s %s: no row written at its own version %d and epoch %d", t.Ref.Kind, t.Ref.ID, t.Version, t.Epoch)
	}
	return o
}
