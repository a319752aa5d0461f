package rest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/actors"
	"weelo/actors/actortest"
	"weelo/internal/access"
	"weelo/internal/auditlog"
	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/login"
	"weelo/internal/notify"
	"weelo/internal/otp"
	"weelo/internal/phone"
	"weelo/internal/servertest"
	"weelo/internal/session"
	"weelo/internal/token"
	"weelo/store/memory"
	"weelo/store/postgres"
	"weelo/store/redis"
	"weelo/store/sqlite"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// The people of these tests. D1 drives for T1.
const (
	c1, t1, d1 = "9876543210", "9876500001", "9123456789"
	ops1       = "9000000001"
)

// noTrips is a fleet whose trucks stand.
type noTrips struct{ rest.TripReader }

func (noTrips) OfFleet(context.Context, fleet.UserID) ([]access.Row, error) { return nil, nil }

// quarantine is what actors and operators need of it.
type quarantine interface {
	ledger.Quarantine
	ledger.QuarantineDesk
}

// pair is one pair of stores: what must never be lost, and what is shared between tasks.
type pair struct {
	codes    otp.Store
	limits   otp.Limits
	tickets  session.TicketStore
	index    session.Index
	users    session.Users
	sessions session.Store
	fails    otp.Fails
	crews    fleet.Crews
	people   fleet.People
	log      auditlog.Store
	registry fleet.Registry
	lister   session.Lister
	harm     quarantine
	// keys lists the shared store's keys; nil where there are none to list.
	keys  func() []string
	flush func() error
}

// sink is the SMS provider of these tests.
type sink struct {
	mu   sync.Mutex
	sent []notify.SMS
	fate func(context.Context) (notify.Class, error) // nil: accepted
}

func (s *sink) Send(ctx context.Context, m notify.SMS) (notify.Class, error) {
	s.mu.Lock()
	fate := s.fate
	s.mu.Unlock()
	class, err := notify.Accepted, error(nil)
	if fate != nil {
		class, err = fate(ctx)
	}
	if class == notify.Accepted {
		s.mu.Lock()
		s.sent = append(s.sent, m)
		s.mu.Unlock()
	}
	return class, err
}

func (s *sink) all() []notify.SMS {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]notify.SMS(nil), s.sent...)
}

// clock runs with the real one, from an offset that tests move.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// lockedBuffer is a log that handlers write to at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// devPair is what weelo dev runs on.
func devPair(t *testing.T, now func() time.Time) pair {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "weelo.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return pair{
		codes: memory.NewOTP(now), limits: memory.NewLimits(now), tickets: memory.NewTickets(now),
		users: sqlite.NewUsers(db), sessions: sqlite.NewSessions(db), fails: sqlite.NewFails(db), crews: sqlite.NewCrews(db), people: sqlite.NewPeople(db),
		log: sqlite.NewAuditLog(db), registry: sqlite.NewRegistry(db), lister: sqlite.NewSessions(db),
		harm: sqlite.NewQuarantine(db),
	}
}

// servePair is what weelo serve runs on, with a database of the shared server and the Redis at url.
func servePair(t *testing.T, url string) pair {
	t.Helper()
	return pairOn(t, servertest.Database(t), url)
}

func pairOn(t *testing.T, database, url string) pair {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	client, err := redis.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return pair{
		codes: redis.NewOTP(client), limits: redis.NewLimits(client), tickets: redis.NewTickets(client), index: redis.NewSessionIndex(client),
		users: postgres.NewUsers(db), sessions: postgres.NewSessions(db), fails: postgres.NewFails(db), crews: postgres.NewCrews(db), people: postgres.NewPeople(db),
		log: postgres.NewAuditLog(db), registry: postgres.NewRegistry(db), lister: postgres.NewSessions(db),
		harm:  postgres.NewQuarantine(db),
		keys:  func() []string { return allKeys(t, client) },
		flush: func() error { return client.FlushAll(context.Background()).Err() },
	}
}

func allKeys(t *testing.T, client goredis.UniversalClient) []string {
	t.Helper()
	keys, err := client.Keys(context.Background(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// task is one running Weelo as far as login goes.
type task struct {
	*resttest.Client
	pair   pair
	sms    *sink
	log    *lockedBuffer
	clock  *clock
	mint   *token.Mint
	watch  *session.Watch
	keeper *session.Keeper
	ticket *session.Tickets
	told   *onlinePeople      // actors of drivers, and devices
	trail  *auditlog.Recorder // writes when it is drained
	closed func() []string    // sessions whose sockets were told to close
}

type options struct {
	policy otp.Policy
	clock  *clock
	sms    *sink
}

// start runs a task on a pair of stores until the test ends.
func start(t *testing.T, p pair, o options) task {
	t.Helper()
	if o.clock == nil {
		o.clock = &clock{}
	}
	if o.sms == nil {
		o.sms = &sink{}
	}
	if o.policy.Life == 0 {
		o.policy = otp.DefaultPolicy()
	}
	k := task{pair: p, sms: o.sms, log: &lockedBuffer{}, clock: o.clock, mint: testMint(t)}
	logger := slog.New(slog.NewJSONHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })

	var mu sync.Mutex
	var closed []string
	k.closed = func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), closed...) }
	k.watch = session.NewWatch(p.sessions, time.Hour, k.clock.Now, func(_ fleet.UserID, family, _ string) {
		mu.Lock()
		defer mu.Unlock()
		closed = append(closed, family)
	}, logger)
	if err := k.watch.Load(ctx); err != nil {
		t.Fatal(err)
	}
	k.trail = auditlog.NewRecorder(auditlog.Config{Store: p.log, Keys: auditKeys, Now: k.clock.Now, Log: logger})
	k.keeper = session.NewKeeper(session.Config{
		Store: p.sessions, Users: p.users, Mint: k.mint, Index: p.index, Policy: session.DefaultPolicy(),
		Random: rand.Reader, Revoked: k.watch.Learn, Log: logger, Audit: k.trail,
	})
	routes := notify.NewRoutes(notify.RoutesConfig{Now: time.Now, Log: logger, Timeout: 10 * time.Second}, notify.Route{Name: "sink", Sender: k.sms})
	dispatcher := notify.NewDispatcher(routes, notify.Config{Now: time.Now, Log: logger})
	running.Go(func() { _ = dispatcher.Run(ctx) })
	running.Go(func() { _ = k.watch.Run(ctx) })
	desk, err := login.New(login.Config{
		Codes: p.codes, Limits: p.limits, Fails: p.fails, Users: p.users, Crews: p.crews, Sessions: k.keeper, Devices: p.sessions, SMS: dispatcher,
		Peppers: otp.Peppers{otp.PepperOf([]byte("pepper-for-tests-0123456789abcdefgh"))}, Policy: o.policy,
		Hashes: notify.Hashes{Customer: "AAAAAAAAAAA", Captain: "BBBBBBBBBBB"}, Ops: []phone.Number{"+91" + ops1},
		Random: rand.Reader, Log: logger, Audit: k.trail,
	})
	if err != nil {
		t.Fatal(err)
	}
	system := actortest.Start(t, actors.Config{Log: logger}, actors.OTPSessions(desk))
	k.told = &onlinePeople{available: map[fleet.UserID]bool{}}
	k.ticket = session.NewTickets(p.tickets, rand.Reader)
	api := rest.New(rest.Config{Version: "test", Tokens: k.mint, Revoked: k.watch.Revoked, Log: logger, TrustedHops: 1, Now: k.clock.Now, Audit: k.trail})
	rest.RegisterAuth(api, actors.NewLogins(system), k.keeper, p.users, k.ticket)
	rest.RegisterFleet(api, rest.Fleet{Onboarding: rest.Onboarding{Logins: actors.NewLogins(system), Crews: p.crews, Sessions: k.keeper, Audit: k.trail},
		Drivers: onlineDrivers{k.told}, Notifier: k.told, People: p.people, Trips: noTrips{}, Presence: memory.NewPresence(), Positions: memory.NewPositions(), Log: logger, Now: k.clock.Now})
	rest.RegisterAdmin(api, rest.Admin{Audit: k.trail, Rows: p.log, Registry: p.registry, Sessions: k.keeper, Lister: p.lister, Quarantine: p.harm, Log: logger, Now: k.clock.Now})
	k.Client = resttest.New(t, api)
	return k
}

// people enrols T1 and D1, who drives for T1, and gives their ids.
func people(t *testing.T, p pair) (boss, driver fleet.UserID) {
	t.Helper()
	at := time.Now().UTC().Truncate(time.Microsecond)
	boss, driver = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	for _, u := range []fleet.User{
		{ID: boss, Phone: "+91" + t1, Role: fleet.Transporter, Name: "Asha Roadlines", CreatedAt: at, UpdatedAt: at},
		{ID: driver, Phone: "+91" + d1, Role: fleet.Driver, Name: "Ravi Kumar", TransporterID: boss, MembershipVersion: 1, LicenseNumber: "KA0120200000001", CreatedAt: at, UpdatedAt: at},
	} {
		if _, _, err := p.users.Enrol(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	return boss, driver
}

// onBoth runs a test on both pairs of stores.
func onBoth(t *testing.T, test func(t *testing.T, p pair)) {
	t.Helper()
	t.Run("dev", func(t *testing.T) { t.Parallel(); test(t, devPair(t, time.Now)) })
	t.Run("serve", func(t *testing.T) { t.Parallel(); test(t, servePair(t, servertest.Redis(t))) })
}

func decodeSegment(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
