package ws

import (
	"context"
	"strconv"
	"sync"
	"time"

	"weelo/internal/fleet"
)

// sweep looks after one connection's timers, once a second.
func (c *conn) sweep(now time.Time) {
	m := c.member.Load()
	if m == nil {
		return // the hello has a timer of its own
	}
	ms := now.UnixMilli()
	since := c.sinceMS.Load()
	switch {
	case ms-c.heardMS.Load() > SilenceLimit.Milliseconds(), since != 0 && ms-since > messageWait.Milliseconds():
		c.kill(codeTimeout, "silence")
	case ms > c.expiryMS.Load()+ExpiryGrace.Milliseconds():
		c.kill(codeUnauthorized, "token expired")
	case ms-c.pingedMS.Load() >= PingEvery.Milliseconds():
		c.pingedMS.Store(ms)
		go c.ping()
	}
}

// ping sends one control ping; its answer is noted by onPong. The wait for the answer is bounded, and
// whoever does not answer is ended by his silence.
func (c *conn) ping() {
	ctx, cancel := context.WithTimeout(context.Background(), SilenceLimit-PingEvery)
	defer cancel()
	_ = c.socket.Ping(ctx)
}

// onPong is a sign of life: it keeps a person present who set himself available.
func (c *conn) onPong(context.Context, []byte) {
	c.heardMS.Store(time.Now().UnixMilli())
	m := c.member.Load()
	if m == nil {
		return
	}
	switch who := m.Identity(); who.Role {
	case fleet.Driver:
		c.driver.Beat()
	case fleet.Transporter:
		c.server.cfg.Transporters.Beat(who.UserID)
	case fleet.Customer, fleet.Ops:
	}
}

// onPing answers a control ping of the client, at most about one a second.
func (c *conn) onPing(context.Context, []byte) bool {
	now := time.Now()
	c.heardMS.Store(now.UnixMilli())
	if !c.server.cfg.Unlimited && !c.pings.allow(now) {
		c.server.observer.Refused(Format, "RATE_LIMITED")
		c.kill(codeRate, "too many pings")
		return false
	}
	return true
}

// pingMeter allows one control ping a second, five at once.
type pingMeter struct {
	mu sync.Mutex
	b  bucket
}

func (p *pingMeter) allow(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.b.burst == 0 {
		p.b = newBucket(1, 5)
	}
	return p.b.take(now)
}

func closeName(code int) string { return "CLOSE_" + strconv.Itoa(code) }
