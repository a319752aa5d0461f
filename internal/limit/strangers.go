package limit

import (
	"context"
	"net/netip"
	"time"
)

// Strangers bounds what is asked from an address by those who have not said who they are: Limit for an IPv4
// address or an IPv6 /64, and ten times as much for a /48, under another name. Thousands of phones share an address
// of a carrier, so over it a device that has logged in lately still has the same limit for itself. This machine's own
// addresses are not bounded.
type Strangers struct {
	Limit    Limit
	Limiter  Limiter
	Known    func(ctx context.Context, device string) bool // whether a device has logged in lately
	Observer Observer                                      // of those who are refused
}

// Take counts one request, or tells how long to wait. A limiter that fails keeps nobody out.
func (s Strangers) Take(ctx context.Context, from netip.Addr, device string) time.Duration {
	var passed []func()
	for _, n := range Networks(from) {
		of := n.Of(s.Limit)
		wait := s.take(ctx, of, n.Key)
		if wait > 0 && device != "" && s.Known(ctx, device) {
			of, wait = s.Limit, s.take(ctx, s.Limit, "device:"+device)
			if wait == 0 {
				return 0
			}
		}
		if wait > 0 {
			for _, back := range passed { // what is refused counts nowhere
				back()
			}
			s.Observer.LimitRefused(of.Name)
			return wait
		}
		passed = append(passed, func() { _ = s.Limiter.Return(ctx, of, n.Key) }) // else it is counted too much, for a minute
	}
	return 0
}

func (s Strangers) take(ctx context.Context, l Limit, key string) time.Duration {
	wait, err := s.Limiter.Take(ctx, l, key)
	if err != nil {
		return 0
	}
	return wait
}
