package redis_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"weelo/internal/servertest"
	"weelo/store/redis"
)

// cutting passes everything on to a server, and while it is told so ends each connection after it has counted and
// before the answer.
type cutting struct {
	addr string
	cuts atomic.Bool
	cut  atomic.Int64
}

func newCutting(t *testing.T, to string) *cutting {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &cutting{addr: l.Addr().String()}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(in, to)
		}
	}()
	return p
}

func (p *cutting) carry(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(out, in)
		_ = out.(*net.TCPConn).CloseWrite()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := out.Read(buffer)
		if n > 0 && buffer[0] == ':' && p.cuts.Load() { // an integer: the answer to a count, and to no greeting
			p.cut.Add(1)
			return
		}
		if n > 0 {
			if _, err := in.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// TestWhatCountsIsSentOnce: a connection that ends before the answer does not make a cluster's client count again, as
// the library does by itself; and what only reads is read from another connection.
func TestWhatCountsIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) string{"single": servertest.Redis, "cluster": servertest.RedisCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := url.Parse(open(t))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			// A cluster tells its clients where it is: at the proxy, from now on.
			p := newCutting(t, server.Host)
			direct, err := redis.Open(ctx, server.String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = direct.Close() })
			if name == "cluster" {
				host, port, _ := net.SplitHostPort(p.addr)
				for _, set := range [][]any{{"CONFIG", "SET", "cluster-announce-ip", host}, {"CONFIG", "SET", "cluster-announce-port", port}} {
					if err := direct.Do(ctx, set...).Err(); err != nil {
						t.Fatal(err)
					}
				}
				t.Cleanup(func() { // it is borrowed
					end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					defer cancel()
					_ = direct.Do(end, "CONFIG", "SET", "cluster-announce-ip", "").Err()
					_ = direct.Do(end, "CONFIG", "SET", "cluster-announce-port", "0").Err()
				})
			}
			client, err := redis.Open(ctx, "redis://"+p.addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() })
			if err := client.Set(ctx, "n", 0, 0).Err(); err != nil {
				t.Fatal(err)
			}
			p.cuts.Store(true)
			if err := client.Incr(ctx, "n").Err(); err == nil {
				t.Error("an answer that did not come is no error")
			}
			p.cuts.Store(false)
			if p.cut.Load() == 0 {
				t.Fatal("nothing was cut")
			}
			n, err := client.Get(ctx, "n").Int()
			if err != nil || n != 1 {
				t.Errorf("counted %d times, %v", n, err)
			}
		})
	}
}
