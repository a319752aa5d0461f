package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Database is a store's database, for the side of the race that has no actors. ForUpdate is what a
// SELECT locks its row with; "" where a writing transaction locks everything (begin it at once then).
type Database struct {
	DB        *sql.DB
	ForUpdate string
}

// transactions is the other side of the race: the slots are rows, and every attempt is a transaction of
// its own, as a server without actors makes them. It does less than the product: no events, no inboxes,
// no timers, no offers.
type transactions struct{ Database }

func newTransactions(ctx context.Context, st AcceptStore) (*transactions, error) {
	t := &transactions{st.Plain}
	for _, ddl := range []string{
		`DROP TABLE IF EXISTS bench_slot`,
		`CREATE TABLE bench_slot (id text PRIMARY KEY, order_id text NOT NULL, status text NOT NULL, winner text NOT NULL)`,
		`CREATE INDEX bench_slot_of_order ON bench_slot (order_id, status)`,
	} {
		if _, err := t.DB.ExecContext(ctx, ddl); err != nil {
			return nil, fmt.Errorf("prepare: %w", err)
		}
	}
	return t, nil
}

// inTx runs one transaction. A database that says so asks for another try.
func (t *transactions) inTx(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := t.DB.BeginTx(ctx, nil)
	if err == nil {
		if err = do(tx); err == nil {
			err = tx.Commit()
		} else {
			_ = tx.Rollback()
		}
	}
	if err != nil && (strings.Contains(err.Error(), "SQLITE_BUSY") || strings.Contains(err.Error(), "40001") || strings.Contains(err.Error(), "40P01")) {
		return errors.Join(errTryAgain, err)
	}
	return err
}

// open implements contest.
func (t *transactions) open(ctx context.Context, slots int, _ []string) (order string, err error) {
	order = uuid.NewString()
	return order, t.inTx(ctx, func(tx *sql.Tx) error {
		for range slots {
			if _, err := tx.ExecContext(ctx, `INSERT INTO bench_slot VALUES ($1, $2, 'searching', '')`, uuid.NewString(), order); err != nil {
				return err
			}
		}
		return nil
	})
}

// win implements contest.
func (t *transactions) win(ctx context.Context, order, name string) (slot string, err error) {
	err = t.inTx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT id FROM bench_slot WHERE order_id = $1 AND status = 'searching' LIMIT 1 `+t.ForUpdate, order).Scan(&slot)
		if errors.Is(err, sql.ErrNoRows) {
			slot = ""
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE bench_slot SET status = 'held', winner = $1 WHERE id = $2`, name, slot)
		return err
	})
	if err != nil {
		return "", err
	}
	return slot, nil
}

// settle implements contest: two transactions, for the confirmation and for the driver's acceptance.
func (t *transactions) settle(ctx context.Context, order, name string) error {
	for _, status := range []string{"assigned", "accepted"} {
		for {
			err := t.inTx(ctx, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, `UPDATE bench_slot SET status = $1 WHERE order_id = $2 AND winner = $3`, status, order, name)
				return err
			})
			if err == nil {
				break
			}
			if !errors.Is(err, errTryAgain) || ctx.Err() != nil {
				return err
			}
		}
	}
	return nil
}

// winners implements contest.
func (t *transactions) winners(ctx context.Context, order string, _ int) (map[string]string, error) {
	rows, err := t.DB.QueryContext(ctx, `SELECT id, winner FROM bench_slot WHERE order_id = $1 AND status = 'accepted'`, order)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	won := map[string]string{}
	for rows.Next() {
		var slot, name string
		if err := rows.Scan(&slot, &name); err != nil {
			return nil, err
		}
		won[slot] = name
	}
	return won, rows.Err()
}

// end implements contest.
func (t *transactions) end(ctx context.Context, order string) error {
	return t.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM bench_slot WHERE order_id = $1`, order)
		return err
	})
}
