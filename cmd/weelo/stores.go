package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/actors"
	"weelo/internal/access"
	"weelo/internal/auditlog"
	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/ledger"
	"weelo/internal/limit"
	"weelo/internal/login"
	"weelo/internal/order"
	"weelo/internal/otp"
	"weelo/internal/presence"
	"weelo/internal/push"
	"weelo/internal/session"
	"weelo/internal/share"
	"weelo/store/memory"
	"weelo/store/postgres"
	"weelo/store/redis"
	"weelo/store/sqlite"
)

// tripRows reads trips and the windows of their fixes.
type tripRows interface {
	access.Trips
	history.Windows
	actors.OrderTrips
}

// stores are the ports of the product, kept by Postgres and Redis or by SQLite and this process.
type stores struct {
	// The durable core.
	writer     ledger.Writer
	joint      ledger.JointWriter
	claimer    ledger.Claimer
	timers     ledger.Timers
	outbox     ledger.Outbox
	inbox      ledger.Inbox
	history    ledger.History
	quarantine interface {
		ledger.Quarantine
		ledger.QuarantineDesk
	}
	replies ledger.Replies
	pruner  ledger.Pruner
	offers  ledger.Offers
	// People, vehicles, tracks.
	users    session.Users
	fails    otp.Fails
	sessions session.Store
	people   fleet.People
	vehicles fleet.Vehicles
	fixes    history.Store
	trips    tripRows
	orders   interface {
		order.Reads
		order.LiveReads
		order.DisputeReads
	}
	supply   fleet.Supply
	crews    fleet.Crews
	log      auditlog.Store
	registry fleet.Registry
	lister   session.Lister
	phones   push.Phones
	shares   share.Store
	// What may be rebuilt.
	codes     otp.Store
	limits    otp.Limits
	rates     rates
	presence  presence.Store
	positions presence.Positions
	tickets   session.TicketStore
	seats     share.Seats   // nil on dev: the hub bounds the viewers of the one process
	index     session.Index // nil on dev
	memory    login.Memory  // nil on dev: this process forgets only when it ends
	roll      limit.Roll    // nil on dev: there is one process
	// clock is the one that deadlines are compared with; shared is the one of codes and limits, nil on dev.
	clock, shared *offsetClock
}

// groupWriter is what both writers have beside Commit.
type groupWriter interface {
	ledger.Writer
	ledger.JointWriter
	Close(context.Context) error
	Depth() int
}

// embedded opens the dev folder's database and the in-process stores.
func embedded(ctx context.Context, p *process, file string) (*stores, error) {
	db, err := sqlite.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	p.close("sqlite", func(context.Context) error { return db.Close() })
	if _, err := db.Migrate(ctx); err != nil {
		return nil, err
	}
	p.ready.add("database", true, db.Ping)
	st := &stores{
		claimer: sqlite.NewClaimer(db), timers: sqlite.NewTimers(db), outbox: sqlite.NewOutbox(db), inbox: sqlite.NewInbox(db),
		history: sqlite.NewHistory(db), quarantine: sqlite.NewQuarantine(db), replies: sqlite.NewReplies(db), pruner: sqlite.NewPruner(db),
		users: sqlite.NewUsers(db), fails: sqlite.NewFails(db), sessions: sqlite.NewSessions(db), people: sqlite.NewPeople(db), vehicles: sqlite.NewVehicles(db),
		fixes: sqlite.NewFixes(db), trips: sqlite.NewTripReads(db),
		orders: sqlite.NewOrderReads(db), offers: sqlite.NewOffers(db), supply: sqlite.NewSupply(db), crews: sqlite.NewCrews(db), log: sqlite.NewAuditLog(db), registry: sqlite.NewRegistry(db), lister: sqlite.NewSessions(db), phones: sqlite.NewPhones(db), shares: sqlite.NewShares(db),
		codes: memory.NewOTP(time.Now), limits: memory.NewLimits(time.Now), rates: memory.NewRates(time.Now), presence: memory.NewPresence(), positions: memory.NewPositions(),
		tickets: memory.NewTickets(time.Now),
		clock:   &offsetClock{whose: "the database", ask: db.Now},
	}
	return st.withWriter(ctx, p, sqlite.NewWriter(db, sqlite.Options{Observe: p.flushed}))
}

// shared opens Postgres and Redis.
func shared(ctx context.Context, p *process) (*stores, error) {
	db, err := openPostgres(ctx, p)
	if err != nil {
		return nil, err
	}
	p.ready.add("database", true, db.Ping)
	client, err := openRedis(ctx, p)
	if err != nil {
		return nil, err
	}
	p.ready.add("redis", false, func(ctx context.Context) error { return client.Ping(ctx).Err() })
	st := &stores{
		claimer: postgres.NewClaimer(db), timers: postgres.NewTimers(db), outbox: postgres.NewOutbox(db), inbox: postgres.NewInbox(db),
		history: postgres.NewHistory(db), quarantine: postgres.NewQuarantine(db), replies: postgres.NewReplies(db), pruner: postgres.NewPruner(db),
		users: postgres.NewUsers(db), fails: postgres.NewFails(db), sessions: postgres.NewSessions(db), people: postgres.NewPeople(db), vehicles: postgres.NewVehicles(db),
		fixes: postgres.NewFixes(db), trips: postgres.NewTripReads(db),
		orders: postgres.NewOrderReads(db), offers: postgres.NewOffers(db), supply: postgres.NewSupply(db), crews: postgres.NewCrews(db), log: postgres.NewAuditLog(db), registry: postgres.NewRegistry(db), lister: postgres.NewSessions(db), phones: postgres.NewPhones(db), shares: postgres.NewShares(db),
		codes: redis.NewOTP(client), limits: redis.NewLimits(client), rates: redis.NewRates(client), presence: redis.NewPresence(client), positions: redis.NewPositions(client),
		tickets: redis.NewTickets(client), index: redis.NewSessionIndex(client), seats: redis.NewSeats(client), memory: redis.NewWitness(client), roll: redis.NewRoll(client, nodeName()),
		clock:  &offsetClock{whose: "the database", ask: db.Now},
		shared: &offsetClock{whose: "Redis", ask: redis.NewClock(client).Now, rebuildable: true},
	}
	return st.withWriter(ctx, p, postgres.NewWriter(db, postgres.Options{Observe: p.flushed}))
}

// withWriter adds the group commit and measures the clocks. The writer is closed before its database,
// after the actors have drained.
func (st *stores) withWriter(ctx context.Context, p *process, w groupWriter) (*stores, error) {
	st.writer, st.joint = w, w
	p.close("writer", w.Close)
	all := clocks{st.clock}
	if st.shared != nil {
		all = append(all, st.shared)
	}
	for _, c := range all {
		if err := c.begin(ctx, p.log); err != nil {
			return nil, err
		}
		p.run("clock of "+c.whose, c.Run)
	}
	p.ready.add("clock", true, all.check)
	return st, nil
}

// flushed counts one flush of the writer.
func (p *process) flushed(f ledger.Flush) {
	p.metrics.Commits.Batch(f.Lane, f.Size, f.Took)
	for status, n := range f.Statuses {
		for range n {
			p.metrics.Commits.Outcome(ledger.Status(status).String())
		}
	}
}

// startPatience is how long a start waits for its stores: a task may come up before them.
const startPatience = 30 * time.Second

func openPostgres(ctx context.Context, p *process) (*postgres.DB, error) {
	var db *postgres.DB
	err := patiently(ctx, startPatience, func() (err error) {
		db, err = postgres.Open(ctx, postgres.Config{URL: p.cfg.Store.DatabaseURL.Reveal()})
		if err != nil {
			p.log.Warn("the database does not answer yet", "err", err)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL (%s): %w", p.cfg.Store.DatabaseURL, err)
	}
	p.close("postgres", func(context.Context) error { db.Close(); return nil })
	if p.cfg.Store.Migrate == "off" {
		pending, err := db.Pending(ctx)
		if err != nil {
			return nil, err
		}
		if pending {
			return nil, errors.New("the schema is older than this binary and MIGRATE=off: run weelo migrate up")
		}
		return db, nil
	}
	v, err := db.Migrate(ctx)
	if err != nil {
		return nil, err
	}
	p.log.Info("the schema is up", "schema_version", v)
	return db, nil
}

// redisLog takes in what the Redis library would print past our log.
type redisLog struct{ *slog.Logger }

// Printf implements the library's logging interface. It retries by itself: for the one who is looking.
func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.DebugContext(ctx, "redis library", "what", fmt.Sprintf(format, v...))
}

func openRedis(ctx context.Context, p *process) (goredis.UniversalClient, error) {
	goredis.SetLogger(redisLog{p.log})
	var client goredis.UniversalClient
	err := patiently(ctx, startPatience, func() (err error) {
		client, err = redis.OpenWithin(ctx, p.cfg.Store.RedisURL.Reveal(), p.cfg.Store.RedisTimeout)
		if err != nil {
			p.log.Warn("redis does not answer yet", "err", err)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL (%s): %w", p.cfg.Store.RedisURL, err)
	}
	p.close("redis", func(context.Context) error { return client.Close() })
	return client, nil
}

// patiently tries again each second until it works or the patience is over.
func patiently(ctx context.Context, patience time.Duration, try func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		pause := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			pause.Stop()
			return errors.Join(err, ctx.Err())
		case <-pause.C:
		}
	}
}
