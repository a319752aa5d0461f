package servertest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"weelo/internal/servertest"
)

func query(t *testing.T, url, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var answer string
	if err := conn.QueryRow(ctx, sql).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func TestEveryTestGetsItsOwnDatabase(t *testing.T) {
	t.Parallel()
	one, two := servertest.Database(t), servertest.Database(t)
	query(t, one, `WITH n AS (INSERT INTO meta VALUES ('here', 'yes') RETURNING 1) SELECT count(*)::text FROM n`)
	if n := query(t, one, `SELECT count(*)::text FROM meta WHERE name = 'here'`); n != "1" {
		t.Errorf("the row is not in its own database: %s", n)
	}
	if n := query(t, two, `SELECT count(*)::text FROM meta WHERE name = 'here'`); n != "0" {
		t.Errorf("a row of one test is visible in another's database: %s", n)
	}
}

func TestPrivatePostgresSurvivesKill(t *testing.T) {
	t.Parallel()
	s := servertest.PrivatePostgres(t)
	url := s.Database(t)
	query(t, url, `WITH n AS (INSERT INTO meta VALUES ('kept', 'yes') RETURNING 1) SELECT count(*)::text FROM n`)
	for range 2 {
		s.Kill(t)
		if c, err := pgx.Connect(t.Context(), url); err == nil {
			c.Close(t.Context())
			t.Fatal("a killed server answers")
		}
		s.Start(t)
		if v := query(t, url, `SELECT value FROM meta WHERE name = 'kept'`); v != "yes" {
			t.Errorf("a committed row is gone after a restart: %q", v)
		}
	}
}

func TestRedisIsEmptyAndPrivate(t *testing.T) {
	t.Parallel()
	ask := func(url string, args ...any) string {
		t.Helper()
		o, err := redis.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		c := redis.NewClient(o)
		defer c.Close()
		v, err := c.Do(t.Context(), args...).Text()
		if err != nil {
			return err.Error()
		}
		return v
	}
	one, two, cluster := servertest.Redis(t), servertest.Redis(t), servertest.RedisCluster(t)
	ask(one, "SET", "a", "1")
	if got := ask(two, "GET", "a"); got != redis.Nil.Error() {
		t.Errorf("another server knows the key: %q", got)
	}
	if got := ask(cluster, "MSET", "a", "1", "b", "2"); !strings.Contains(got, "CROSSSLOT") {
		t.Errorf("the cluster allows a command over two slots: %q", got)
	}
	private := servertest.PrivateRedis(t)
	ask(private.URL(), "SET", "a", "1")
	private.Kill(t)
	private.Start(t)
	if got := ask(private.URL(), "GET", "a"); got != redis.Nil.Error() {
		t.Errorf("redis without persistence remembers after a kill: %q", got)
	}
}

// TestServersEndWithTheProcess runs this binary again as a child that starts servers and then waits;
// the child is killed, and its servers and folder must go.
func TestServersEndWithTheProcess(t *testing.T) {
	t.Parallel()
	if os.Getenv("SERVERTEST_CHILD") == "1" {
		os.Stdout.WriteString("\nurl=" + servertest.Database(t) + "\ntmp=" + servertest.Folder() + "\n")
		select {}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestServersEndWithTheProcess$")
	cmd.Env = append(os.Environ(), "SERVERTEST_CHILD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var url, tmp string
	var text []byte
	for buf := make([]byte, 4096); tmp == ""; {
		n, err := out.Read(buf)
		text = append(text, buf[:n]...)
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(line, "url="); ok && strings.HasSuffix(v, "\n") {
				url = strings.TrimSpace(v)
			}
			if v, ok := strings.CutPrefix(line, "tmp="); ok && strings.HasSuffix(v, "\n") {
				tmp = strings.TrimSpace(v)
			}
		}
		if err != nil && tmp == "" {
			t.Fatalf("child: %v: %s", err, text)
		}
	}
	_ = cmd.Process.Signal(syscall.SIGKILL)
	_ = cmd.Wait()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for {
		conn, connErr := pgx.Connect(t.Context(), url)
		if connErr == nil {
			conn.Close(t.Context())
		}
		_, statErr := os.Stat(tmp)
		if connErr != nil && os.IsNotExist(statErr) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("after the process was killed: connect %v, folder %v", connErr, statErr)
		case <-tick.C:
		}
	}
}
