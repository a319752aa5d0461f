package servertest

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisServer is one Redis of this test process.
type RedisServer struct {
	bin     string
	dir     string
	port    int
	cluster bool
	process *process
}

// idle holds servers that no test uses at the moment. A test takes one for itself and gives it back
// empty, so that FLUSHALL in one test never touches another.
var idle struct {
	sync.Mutex
	single, cluster []*RedisServer
}

// Redis gives the URL of an empty Redis that is this test's alone until it ends.
func Redis(t testing.TB) string {
	t.Helper()
	return borrow(t, false).URL()
}

// RedisCluster gives the URL of an empty Redis in cluster mode, one node that owns every slot, this
// test's alone until it ends. A command over two slots fails with CROSSSLOT as in production.
func RedisCluster(t testing.TB) string {
	t.Helper()
	return borrow(t, true).URL()
}

// PrivateRedis starts a server that the test may kill and start again. It keeps nothing on disk, so
// a restart is also the loss of all data.
func PrivateRedis(t testing.TB) *RedisServer {
	t.Helper()
	s := newRedis(t, false)
	s.Start(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

func borrow(t testing.TB, cluster bool) *RedisServer {
	t.Helper()
	pool := &idle.single
	if cluster {
		pool = &idle.cluster
	}
	idle.Lock()
	var s *RedisServer
	if n := len(*pool); n > 0 {
		s, *pool = (*pool)[n-1], (*pool)[:n-1]
	}
	idle.Unlock()
	if s == nil {
		s = newRedis(t, cluster)
		s.Start(t)
	}
	t.Cleanup(func() {
		if err := s.command("FLUSHALL"); err != nil {
			t.Errorf("servertest: a borrowed redis must be left running: %v", err)
			_ = s.process.end(syscall.SIGKILL, false)
			return
		}
		idle.Lock()
		defer idle.Unlock()
		*pool = append(*pool, s)
	})
	return s
}

func newRedis(t testing.TB, cluster bool) *RedisServer {
	t.Helper()
	return &RedisServer{bin: binary(t, "redis-server", "redis-server"), dir: folder(t, "redis", nil), cluster: cluster}
}

// Start starts a server that is down, empty, on the port it had, and waits until it answers.
func (s *RedisServer) Start(t testing.TB) {
	t.Helper()
	var err error
	for range 5 {
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
	t.Fatalf("servertest: redis: %v", err)
}

func (s *RedisServer) run() error {
	args := []string{"--bind", "127.0.0.1", "--port", fmt.Sprint(s.port), "--dir", s.dir, "--save", "", "--appendonly", "no"}
	if s.cluster {
		// Without a bus port of its own the server adds 10000 to its port and dies above 55535.
		bus, err := freePort(0)
		if err != nil {
			return err
		}
		args = append(args, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", fmt.Sprint(bus))
	}
	p, err := launch(exec.Command(s.bin, args...), s.dir, nil)
	if err != nil {
		return err
	}
	s.process = p
	err = p.await(s.ping)
	if err == nil && s.cluster {
		if err = s.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383"); err == nil {
			err = p.await(s.clusterIsUp) // about 2 s
		}
	}
	if err != nil {
		_ = p.end(syscall.SIGKILL, false)
	}
	return err
}

// Kill ends the server with SIGKILL.
func (s *RedisServer) Kill(t testing.TB) {
	t.Helper()
	if err := s.process.end(syscall.SIGKILL, false); err != nil {
		t.Errorf("servertest: kill redis: %v", err)
	}
}

// Stop ends the server in order. A server that is down stays so.
func (s *RedisServer) Stop(t testing.TB) {
	t.Helper()
	if s.process == nil {
		return
	}
	if err := s.process.end(syscall.SIGTERM, false); err != nil {
		t.Errorf("servertest: stop redis: %v", err)
	}
}

// URL is the server's address as REDIS_URL names it.
func (s *RedisServer) URL() string { return fmt.Sprintf("redis://127.0.0.1:%d", s.port) }

// Addr is host:port.
func (s *RedisServer) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// ping tells whether this server answers: one of another process may have taken the port.
func (s *RedisServer) ping() error {
	answer, err := s.ask("CONFIG", "GET", "dir") // name, value
	if err != nil {
		return err
	}
	own, err := filepath.EvalSymlinks(s.dir) // as a server names it
	if err != nil {
		return err
	}
	if pair, ok := answer.([]any); !ok || len(pair) != 2 || pair[1] != own {
		return fmt.Errorf("port %d belongs to another server", s.port)
	}
	return nil
}

func (s *RedisServer) command(args ...any) error {
	_, err := s.ask(args...)
	return err
}

func (s *RedisServer) clusterIsUp() error {
	info, err := s.ask("CLUSTER", "INFO")
	if err == nil && !strings.Contains(fmt.Sprint(info), "cluster_state:ok") {
		err = fmt.Errorf("cluster is not up yet")
	}
	return err
}

func (s *RedisServer) ask(args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, Protocol: 2})
	defer c.Close()
	return c.Do(ctx, args...).Result()
}
