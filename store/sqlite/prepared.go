package sqlite

import (
	"context"
	"database/sql"
	"sync"
)

// prepared keeps statements that are used all the time; they live as long as their database. Parsing
// one costs more than most of them do.
type prepared struct {
	mu    sync.Mutex
	stmts map[string]*sql.Stmt
}

// reading gives a statement that reads committed rows.
func (db *DB) reading(ctx context.Context, query string) (*sql.Stmt, error) {
	return db.reads.on(ctx, db.Read, query)
}

// writing gives a statement of the writer. It must not be called inside a transaction: it would wait
// for the transaction's own connection.
func (db *DB) writing(ctx context.Context, query string) (*sql.Stmt, error) {
	return db.writes.on(ctx, db.Write, query)
}

func (p *prepared) on(ctx context.Context, db *sql.DB, query string) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if stmt := p.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if p.stmts == nil {
		p.stmts = make(map[string]*sql.Stmt)
	}
	p.stmts[query] = stmt
	return stmt, nil
}
