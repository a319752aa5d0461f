package servertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the database/sql driver that migrations use

	"weelo/migrations"
)

const template = "weelo_template"

// PostgresServer is one Postgres of this test process. It is safe for concurrent use, except Kill,
// Start and Stop, which belong to the test that owns a private one.
type PostgresServer struct {
	bin     string
	dir     string
	port    int
	as      *syscall.Credential
	setting []string
	process *process

	migrate  sync.Once
	migrated error
	created  atomic.Int64
}

// shared is this process's server. It has no owner that could stop it: it ends with the process.
var shared struct {
	sync.Mutex
	server *PostgresServer
}

// Postgres gives the server that all tests of this process share, started at the first call. It
// forgets fsync: a shared server is never killed, and tests should not wait for a disk.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s := newPostgres(t, "fsync=off", "full_page_writes=off", "max_wal_size=256MB")
		s.initialise(t)
		s.Start(t)
		shared.server = s
	}
	return shared.server
}

// Database gives the URL of a fresh, migrated database on the shared server, dropped at the end of
// the test.
func Database(t testing.TB) string {
	t.Helper()
	return Postgres(t).Database(t)
}

// PrivatePostgres starts a server of this test alone, with every durability setting as in
// production (fsync on), to be killed and started again. settings are extra name=value pairs.
func PrivatePostgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	s := newPostgres(t, settings...)
	s.initialise(t)
	s.Start(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

func newPostgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	as := postgresUser(t)
	return &PostgresServer{
		bin:     filepath.Dir(binary(t, "postgres", "postgresql-15", "/usr/lib/postgresql/*/bin")),
		dir:     folder(t, "postgres", as),
		as:      as,
		setting: settings,
	}
}

// pristine is the data folder of a server that was never started: initdb runs once in a process, and
// every server starts from a copy of what it made.
var pristine struct {
	sync.Mutex
	data string
}

func (s *PostgresServer) initialise(t testing.TB) {
	t.Helper()
	pristine.Lock()
	defer pristine.Unlock()
	if pristine.data == "" {
		data := filepath.Join(folder(t, "pristine", s.as), "data")
		s.complete(t, exec.Command(filepath.Join(s.bin, "initdb"), "-D", data, "-U", "weelo",
			"--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"))
		pristine.data = data
	}
	s.complete(t, exec.Command("cp", "-a", pristine.data, s.data()))
}

// complete runs a command that ends by itself, as the user that owns the data.
func (s *PostgresServer) complete(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	p, err := launch(cmd, s.dir, s.as)
	if err != nil {
		t.Fatalf("servertest: %s: %v", cmd.Path, err)
	}
	select {
	case <-p.done:
	case <-time.After(2 * patience):
		_ = p.end(syscall.SIGKILL, true)
	}
	if !cmd.ProcessState.Success() {
		t.Fatalf("servertest: %s failed (can user postgres enter the temporary folder?): %s", cmd.Path, p.log)
	}
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

// Start starts a server that is down, on the port and data it had, and waits until it answers.
func (s *PostgresServer) Start(t testing.TB) {
	t.Helper()
	var err error
	for range 5 { // only a first start may move to another port; another process may have taken it
		fresh := s.port == 0
		if fresh {
			if s.port, err = freePort(0); err != nil {
				t.Fatalf("servertest: %v", err)
			}
		}
		if err = s.run(); err == nil {
			return
		}
		if fresh {
			s.port = 0
		}
	}
	t.Fatalf("servertest: postgres: %v", err)
}

func (s *PostgresServer) run() error {
	args := []string{"-D", s.data(), "-p", fmt.Sprint(s.port), "-h", "127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=300", "-c", "log_min_messages=fatal", "-c", "shared_buffers=64MB",
		// After a crash one sync of the file system, not one of each of some thousand files.
		"-c", "recovery_init_sync_method=syncfs"}
	for _, setting := range s.setting {
		args = append(args, "-c", setting)
	}
	p, err := launch(exec.Command(filepath.Join(s.bin, "postgres"), args...), s.dir, s.as)
	if err != nil {
		return err
	}
	s.process = p
	if err := p.await(s.ping); err != nil {
		_ = p.end(syscall.SIGKILL, true)
		return err
	}
	return nil
}

// Kill ends the postmaster and all its children with SIGKILL, as a crash of the machine's process
// table would: no goodbye to clients, no checkpoint.
func (s *PostgresServer) Kill(t testing.TB) {
	t.Helper()
	// Children leave the postmaster's process group (each calls setsid), so they are found by parent.
	// The postmaster is stopped first so that it cannot start others or tell them to quit.
	pid := s.process.cmd.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	for _, child := range childrenOf(pid) {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	if err := s.process.end(syscall.SIGKILL, false); err != nil {
		t.Errorf("servertest: kill postgres: %v", err)
	}
}

// Pause freezes the postmaster and its children: connections stay open and nobody answers.
func (s *PostgresServer) Pause(t testing.TB) {
	t.Helper()
	s.signalAll(t, syscall.SIGSTOP)
}

// Resume lets a paused server go on.
func (s *PostgresServer) Resume(t testing.TB) {
	t.Helper()
	s.signalAll(t, syscall.SIGCONT)
}

// signalAll signals the postmaster first when it stops all, so that no child is born meanwhile.
func (s *PostgresServer) signalAll(t testing.TB, sig syscall.Signal) {
	t.Helper()
	pid := s.process.cmd.Process.Pid
	if err := syscall.Kill(pid, sig); err != nil {
		t.Errorf("servertest: signal %v: %v", sig, err)
	}
	for _, child := range childrenOf(pid) {
		_ = syscall.Kill(child, sig)
	}
}

// Stop ends the server at once but in order (SIGQUIT would leave recovery to the next start, so
// SIGINT: a fast shutdown). A server that is down stays so.
func (s *PostgresServer) Stop(t testing.TB) {
	t.Helper()
	if s.process == nil {
		return
	}
	if err := s.process.end(syscall.SIGINT, false); err != nil {
		t.Errorf("servertest: stop postgres: %v", err)
	}
}

// Addr is host:port.
func (s *PostgresServer) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// URL names a database of this server.
func (s *PostgresServer) URL(database string) string {
	return "postgres://weelo@" + s.Addr() + "/" + database + "?sslmode=disable"
}

// Database gives the URL of a fresh, migrated database, dropped at the end of the test. The schema
// is made once, in a template that each database is cloned from.
func (s *PostgresServer) Database(t testing.TB) string {
	t.Helper()
	s.migrate.Do(func() { s.migrated = s.makeTemplate() })
	if s.migrated != nil {
		t.Fatalf("servertest: template database: %v", s.migrated)
	}
	return s.create(t, " TEMPLATE "+template)
}

// Empty gives the URL of a fresh database without a schema, dropped at the end of the test.
func (s *PostgresServer) Empty(t testing.TB) string {
	t.Helper()
	return s.create(t, "")
}

func (s *PostgresServer) create(t testing.TB, how string) string {
	t.Helper()
	name := fmt.Sprintf("t_%d", s.created.Add(1))
	if err := s.execute("CREATE DATABASE " + name + how); err != nil {
		t.Fatalf("servertest: %v", err)
	}
	t.Cleanup(func() {
		// A server the test has killed and left down has nothing to drop.
		select {
		case <-s.process.done:
		default:
			if err := s.execute("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
				t.Logf("servertest: %v", err)
			}
		}
	})
	return s.URL(name)
}

func (s *PostgresServer) makeTemplate() error {
	if err := s.execute("CREATE DATABASE " + template); err != nil {
		return err
	}
	db, err := sql.Open("pgx", s.URL(template))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err = migrations.Up(ctx, db, migrations.Postgres)
	return err
}

func (s *PostgresServer) execute(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// connect tries again when nobody answers for ten seconds, as it happens while a dozen servers start on a
// slow disk.
func (s *PostgresServer) connect(ctx context.Context) (*pgx.Conn, error) {
	for {
		try, cancel := context.WithTimeout(ctx, 10*time.Second)
		conn, err := pgx.Connect(try, s.URL("postgres"))
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return conn, err
		}
	}
}

// ping tells whether this server answers: one of another process may have taken the port.
func (s *PostgresServer) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var data string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&data); err != nil {
		return err
	}
	if data != s.data() {
		return fmt.Errorf("port %d belongs to another server", s.port)
	}
	return nil
}
