package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"weelo/internal/client"
	"weelo/internal/track"
	"weelo/transport/wire"
)

// script is a server that plays one handler per connection, over in-memory pipes.
type script struct {
	network *pipes
	mu      sync.Mutex
	plays   []play
	at      []time.Time // of each connect
}

type play func(c *stage)

// stage is the server's end of one connection. Its methods end the handler when the client is gone.
type stage struct {
	ctx   context.Context
	conn  *websocket.Conn
	hello map[string]any
}

func (s *stage) send(frame string) {
	_ = s.conn.Write(s.ctx, websocket.MessageText, []byte(frame))
}

func (s *stage) read() string {
	_, b, err := s.conn.Read(s.ctx)
	if err != nil {
		return ""
	}
	return string(b)
}

func (s *stage) welcome(head int, mode string) {
	s.send(fmt.Sprintf(`{"t":"welcome","stream":"s1","head":%d,"mode":%q}`, head, mode))
}

func (s *stage) event(seq int) {
	s.send(fmt.Sprintf(`{"t":"event","seq":%d,"type":"trip_status","v":1,"data":{}}`, seq))
}

func (s *stage) close(code int) { _ = s.conn.Close(websocket.StatusCode(code), "") }

func serve(t *testing.T, plays ...play) *script {
	t.Helper()
	s := &script{network: &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}, plays: plays}
	web := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	var work sync.WaitGroup
	work.Go(func() { _ = web.Serve(s.network) })
	t.Cleanup(func() {
		_ = web.Close()
		work.Wait()
	})
	return s
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"weelo.v1"}})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	s.mu.Lock()
	s.at = append(s.at, time.Now())
	n := len(s.at)
	var p play
	if n <= len(s.plays) {
		p = s.plays[n-1]
	}
	s.mu.Unlock()
	st := &stage{ctx: context.WithoutCancel(r.Context()), conn: c}
	if err := json.Unmarshal([]byte(st.read()), &st.hello); err != nil || p == nil {
		return
	}
	p(st)
}

func (s *script) connects() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.at...)
}

type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (n *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}
func (n *pipes) Close() error   { n.once.Do(func() { close(n.closed) }); return nil }
func (n *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (n *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n.conns <- there:
		return here, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// open starts a session against the script. It ends with the test.
func (s *script) open(t *testing.T, change func(*client.Config)) (*client.Session, <-chan error) {
	t.Helper()
	cfg := client.Config{
		BaseURL: "http://weelo.test",
		Token: func(_ context.Context, refused bool) (string, error) {
			return fmt.Sprint("token refused=", refused), nil
		},
		HTTP: &http.Client{Transport: &http.Transport{DialContext: s.network.dial, DisableKeepAlives: true}},
	}
	if change != nil {
		change(&cfg)
	}
	session := client.NewSession(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- session.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range session.Frames() { // until it is closed
		}
	})
	return session, done
}

// next gives the next frame as a short word.
func next(t *testing.T, s *client.Session) string {
	t.Helper()
	select {
	case f, ok := <-s.Frames():
		switch {
		case !ok:
			return "closed"
		case f.Received == nil:
			return fmt.Sprint("pos ", len(f.Positions))
		case f.T == "event" || f.T == "synced":
			return fmt.Sprint(f.T, " ", f.Seq)
		}
		return f.T
	case <-time.After(10 * time.Minute):
		t.Fatal("no frame")
		return ""
	}
}

func expect(t *testing.T, s *client.Session, want ...string) {
	t.Helper()
	var got []string
	for range want {
		got = append(got, next(t, s))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("frames (-want +got):\n%s", d)
	}
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func TestResumesWithoutLossOrRepeat(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var resumed any
		s := serve(t,
			func(c *stage) {
				c.welcome(5, "live")
				c.event(6)
				c.event(6) // twice
				c.event(8) // 7 is missing
				if got := c.read(); got != `{"t":"replay","from":7}` {
					c.close(4400)
					return
				}
				c.event(7)
				c.event(8)
				c.send(`{"t":"synced","seq":8}`)
			},
			func(c *stage) {
				resumed = c.hello["resume"]
				c.welcome(9, "replay")
				c.event(9)
				c.send(`{"t":"synced","seq":9}`)
				c.read()
			})
		session, _ := s.open(t, nil)
		expect(t, session, "welcome", "event 6", "event 7", "event 8", "synced 8", "welcome", "event 9", "synced 9")
		if d := cmp.Diff(map[string]any{"stream": "s1", "seq": 8.0}, resumed); d != "" {
			t.Errorf("resume (-want +got):\n%s", d)
		}
		if got := session.Position(); got != (wire.Resume{Stream: "s1", Seq: 9}) {
			t.Errorf("position %+v", got)
		}
	})
}

func TestResyncStartsFromTheHead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serve(t, func(c *stage) {
			c.welcome(900, "resync")
			c.send(`{"t":"trip","watch":null,"trip":"t1","version":1,"status":"in_transit"}`)
			c.send(`{"t":"synced","seq":900}`)
			c.event(901)
			c.read()
		})
		session, _ := s.open(t, func(c *client.Config) { c.Resume = &wire.Resume{Stream: "s1", Seq: 3} })
		expect(t, session, "welcome", "trip", "synced 900", "event 901")
	})
}

// TestACutResyncIsAskedForAgain: until synced was read the client has not got what it is to forget.
func TestACutResyncIsAskedForAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var resumed any
		s := serve(t,
			func(c *stage) {
				c.welcome(900, "resync")
				c.send(`{"t":"trip","watch":null,"trip":"t1","version":1,"status":"in_transit"}`)
				_ = c.conn.CloseNow()
			},
			func(c *stage) {
				resumed = c.hello["resume"]
				c.welcome(901, "resync")
				c.send(`{"t":"trip","watch":null,"trip":"t2","version":1,"status":"in_transit"}`)
				c.send(`{"t":"synced","seq":901}`)
				c.event(902)
				c.read()
			})
		session, _ := s.open(t, func(c *client.Config) { c.Resume = &wire.Resume{Stream: "s0", Seq: 3} })
		expect(t, session, "welcome", "trip", "welcome", "trip", "synced 901", "event 902")
		if d := cmp.Diff(map[string]any{"stream": "s0", "seq": 3.0}, resumed); d != "" {
			t.Errorf("resume (-want +got):\n%s", d)
		}
		if got := session.Position(); got != (wire.Resume{Stream: "s1", Seq: 902}) {
			t.Errorf("position %+v", got)
		}
	})
}

func TestWatchesComeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		seen := make(chan string, 10)
		s := serve(t,
			func(c *stage) { c.welcome(0, "live"); seen <- c.read() },
			func(c *stage) {
				c.welcome(0, "live")
				seen <- c.read()
				c.send(`{"t":"pos","p":[{"trip":"t1","n":1,"ts":1,"rx":1,"lat":1.000000,"lng":1.000000,"speed":null,"bearing":null,"acc":0}]}`)
				c.send(`{"t":"unwatched","watch":"w","reason":"ended"}`)
			},
			func(c *stage) { c.welcome(0, "live"); c.send(`{"t":"pong"}`); c.read() })
		session, _ := s.open(t, nil)
		expect(t, session, "welcome")
		if err := session.Watch(t.Context(), "w", "trip", "t1"); err != nil {
			t.Fatal(err)
		}
		expect(t, session, "welcome", "pos 1", "unwatched", "welcome", "pong")
		const want = `{"t":"watch","id":"w","trip":"t1"}`
		if a, b := <-seen, <-seen; a != want || b != want {
			t.Errorf("watches %s and %s", a, b)
		}
	})
}

func TestBatchesAreAnsweredOrLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serve(t, func(c *stage) {
			c.welcome(0, "live")
			c.read()
			c.send(`{"t":"ack","re":"b1","accepted":1,"duplicate":0,"stale":0,"invalid":0,"invalidAt":[],"lastFixMs":7}`)
			c.read()
			c.send(`{"t":"error","re":"b2","code":"BUSY","message":"Later.","retryable":true}`)
			c.read()
		})
		session, _ := s.open(t, nil)
		fixes := []track.Fix{{TS: 7, Lat: 1, Lng: 1}}
		if a, err := session.Fixes(t.Context(), fixes, ""); err != nil || a.Accepted != 1 || a.LastFixMS != 7 {
			t.Errorf("%+v, %v", a, err)
		}
		var refused *client.RefusedError
		if _, err := session.Fixes(t.Context(), fixes, ""); !errors.As(err, &refused) || !refused.Retryable {
			t.Errorf("%v", err)
		}
		if _, err := session.Fixes(t.Context(), fixes, ""); !errors.Is(err, client.ErrLost) {
			t.Errorf("%v", err)
		}
	})
}

func TestComesBackAsTold(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		first    play
		min, max time.Duration // between the first connect and the second
		refused  bool
	}{
		{"hung up", func(c *stage) { c.welcome(0, "live") }, 0, time.Second, false},
		{"told to go", func(c *stage) {
			c.welcome(0, "live")
			c.send(`{"t":"goaway","reconnectMs":7000}`)
			c.close(1012)
		}, 7 * time.Second, 7 * time.Second, false},
		{"expired", func(c *stage) { c.welcome(0, "live"); c.close(4401) }, 0, time.Second, true},
		{"not let in", func(c *stage) {
			c.send(`{"t":"error","re":null,"code":"TOKEN_EXPIRED","message":"","retryable":false}`)
			c.close(4401)
		}, 0, time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var token any
				s := serve(t, tt.first, func(c *stage) { token = c.hello["token"]; c.welcome(0, "live"); c.send(`{"t":"pong"}`); c.read() })
				session, _ := s.open(t, nil)
				for next(t, session) != "pong" {
				}
				at := s.connects()
				if d := at[1].Sub(at[0]); d < tt.min || d > tt.max {
					t.Errorf("came back after %s", d)
				}
				if token != fmt.Sprint("token refused=", tt.refused) {
					t.Errorf("came back with %v", token)
				}
			})
		})
	}
}

func TestStaysAwayWhenNotWanted(t *testing.T) {
	t.Parallel()
	for _, code := range []int{4400, 4403, 4409, 1009} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := serve(t, func(c *stage) { c.welcome(0, "live"); c.close(code) })
				_, done := s.open(t, nil)
				if err := <-done; !errors.Is(err, client.ErrStopped) || int(websocket.CloseStatus(err)) != code {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestBacksOffWithJitter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serve(t) // hangs up on everybody
		s.open(t, nil)
		<-time.After(10 * time.Minute)
		synctest.Wait()
		at := s.connects()
		if len(at) < 15 || len(at) > 45 {
			t.Errorf("%d connects in 10 minutes", len(at))
		}
		var largest time.Duration
		for i := 1; i < len(at); i++ {
			largest = max(largest, at[i].Sub(at[i-1]))
		}
		if largest > time.Minute || largest < 20*time.Second {
			t.Errorf("the largest pause is %s", largest)
		}
	})
}
