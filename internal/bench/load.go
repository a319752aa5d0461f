package bench

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"weelo/internal/track"
	"weelo/transport/wire"
)

// Where every driver starts; each drives north at a believable speed, turning back every 2 h.
const (
	startLat = 13.0285
	startLng = 77.5197
	speedMPS = 11.2
)

// load is one stretch of open-loop traffic: drivers send at a rate whatever comes back.
type load struct {
	drivers  []*websocket.Conn
	watchers []*websocket.Conn // any number per driver; what they get is counted
	every    time.Duration     // between two messages of one driver
	batch    int               // fixes per message; 0: single fixes
	lasts    time.Duration
	warmUp   time.Duration // before it, not measured
	latency  bool          // note how late watchers get what was sent
}

// outcome is what a stretch of traffic did.
type outcome struct {
	sent      int64 // fixes
	delivered int64 // positions, or messages where batches are forwarded whole
	frames    int64 // messages that watchers got
	took      time.Duration
	behind    time.Duration // how late the generator was at worst
	latencies []time.Duration
}

// run sends the traffic. measured is called at the start and at the end of the measured stretch.
func (l *load) run(ctx context.Context, measured func() error) (o outcome, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		counts meter
		work   sync.WaitGroup
	)
	defer work.Wait()
	defer cancel()
	for _, w := range l.watchers {
		work.Go(func() { counts.watch(ctx, w, l.latency) })
	}
	for _, d := range l.drivers {
		work.Go(func() { drain(ctx, d) })
	}
	begin := time.Now()
	for i, d := range l.drivers {
		offset := l.every * time.Duration(i) / time.Duration(len(l.drivers))
		work.Go(func() { counts.drive(ctx, d, l, begin.Add(offset)) })
	}
	if err := pause(ctx, l.warmUp); err != nil {
		return o, err
	}
	before, start := counts.read(), time.Now()
	counts.reset()
	if err := measured(); err != nil {
		return o, err
	}
	if err := pause(ctx, l.lasts); err != nil {
		return o, err
	}
	after := counts.read()
	if err := measured(); err != nil {
		return o, err
	}
	return outcome{
		sent: after.sent - before.sent, delivered: after.delivered - before.delivered, frames: after.frames - before.frames,
		took: time.Since(start), behind: time.Duration(counts.behind.Load()), latencies: counts.late(),
	}, counts.broken()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// meter counts what the sockets of a load send and get.
type meter struct {
	sent, delivered, frames atomic.Int64
	behind                  atomic.Int64 // ns
	mu                      sync.Mutex
	latencies               []time.Duration
	err                     error
}

type reading struct{ sent, delivered, frames int64 }

func (m *meter) read() reading {
	return reading{m.sent.Load(), m.delivered.Load(), m.frames.Load()}
}

func (m *meter) reset() {
	m.mu.Lock()
	m.latencies = nil
	m.mu.Unlock()
	m.behind.Store(0)
}

func (m *meter) late() []time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.Sort(m.latencies)
	return m.latencies
}

func (m *meter) broken() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func (m *meter) fail(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = fmt.Errorf("%s: %w", what, err)
	}
}

const mostLatencies = 1 << 20

// watch reads one watcher's socket.
func (m *meter) watch(ctx context.Context, c *websocket.Conn, latency bool) {
	for {
		_, b, err := c.Read(ctx)
		if err != nil {
			m.fail(ctx, "a watcher's socket", err)
			return
		}
		n := int64(bytes.Count(b, []byte(`"ts":`)))
		if n == 0 {
			continue
		}
		m.frames.Add(1)
		m.delivered.Add(n)
		if latency {
			m.note(b)
		}
	}
}

// note takes the time of the newest fix of a message; its ts is the time at which it was due.
func (m *meter) note(b []byte) {
	at := bytes.LastIndex(b, []byte(`"ts":`)) + len(`"ts":`)
	var ts int64
	for ; at < len(b) && '0' <= b[at] && b[at] <= '9'; at++ {
		ts = ts*10 + int64(b[at]-'0')
	}
	d := time.Since(time.UnixMilli(ts))
	m.mu.Lock()
	if len(m.latencies) < mostLatencies {
		m.latencies = append(m.latencies, d)
	}
	m.mu.Unlock()
}

// drain reads what a driver's socket gets: acks, pings.
func drain(ctx context.Context, c *websocket.Conn) {
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return
		}
	}
}

// drive sends one driver's messages when they are due.
func (m *meter) drive(ctx context.Context, c *websocket.Conn, l *load, due time.Time) {
	var (
		buffer []byte
		n      int64
		timer  = time.NewTimer(time.Until(due))
	)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if late := int64(time.Since(due)); late > m.behind.Load() {
			m.behind.Store(late)
		}
		buffer, n = l.message(buffer[:0], n, due)
		if err := c.Write(ctx, websocket.MessageText, buffer); err != nil {
			m.fail(ctx, "a driver's socket", err)
			return
		}
		m.sent.Add(int64(max(l.batch, 1)))
		due = due.Add(l.every)
		timer.Reset(time.Until(due))
	}
}

// message makes the next message of a driver: a fix, or a batch whose fixes lie between the last
// message and this one.
func (l *load) message(dst []byte, n int64, due time.Time) ([]byte, int64) {
	if l.batch <= 0 {
		n++
		return wire.AppendFix(dst, fixOf(n, due), ""), n
	}
	fixes := make([]track.Fix, 0, l.batch)
	for i := range l.batch {
		n++
		at := due.Add(-l.every * time.Duration(l.batch-1-i) / time.Duration(l.batch))
		fixes = append(fixes, fixOf(n, at))
	}
	return wire.AppendFixes(dst, "b", fixes, ""), n
}

func fixOf(n int64, at time.Time) track.Fix {
	const metersPerDegree = 111_195
	ts := at.UnixMilli()
	seconds := float64(ts%7_200_000) / 1000
	return track.Fix{
		N: n, TS: ts, Lat: startLat + seconds*speedMPS/metersPerDegree, Lng: startLng, Accuracy: 8,
		Speed: speedMPS, HasSpeed: true, Bearing: 1, HasBearing: true,
	}
}
