package actors

import (
	"context"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/login"
)

const (
	// otpWaiting bounds what waits behind the step in flight, beside the mailbox.
	otpWaiting = 32
	// otpStep bounds one step: a handful of store calls.
	otpStep = 5 * time.Second
	// otpMaxLive bounds the sessions in memory of one task; more are refused with BUSY.
	otpMaxLive = 50_000
)

// OTPSessions is the kind of OTP sessions: one per phone and role. An actor only orders the steps;
// what must be true is in the store, in one hash with a TTL, so another task may go on where this one
// ended. It leaves memory when its codes are over, plus 30 s.
func OTPSessions(desk *login.Desk) Kind {
	return Kind{
		Name: protocol.KindOTP, Queue: otpWaiting, Idle: desk.Life() + 30*time.Second, MaxLive: otpMaxLive,
		New: func(_ context.Context, self *Self) (Actor, error) { return &otpSession{desk: desk, self: self}, nil },
	}
}

// otpSession does one step at a time. Waiting for the SMS provider is not a step: a code may be tried
// while its message is on the way.
type otpSession struct {
	desk    *login.Desk
	self    *Self
	current *otpAsked // the step in flight, nil: none
	waiting []*otpAsked
}

type otpAsked struct {
	ctx   context.Context //nolint:containedctx // the asker's trace, kept until his turn
	msg   any
	reply Reply
}

// otpPrepared and otpSubmitted are the results of the two steps; otpDelivered ends a delivery.
type (
	otpPrepared struct {
		code *login.Prepared
		err  error
	}
	otpSubmitted struct {
		in  *protocol.LoggedIn
		err error
	}
	otpDelivered struct{}
)

var (
	_ Actor   = (*otpSession)(nil)
	_ Stopper = (*otpSession)(nil)
)

// Receive implements Actor.
func (s *otpSession) Receive(ctx context.Context, msg any, reply Reply) {
	switch m := msg.(type) {
	case *protocol.SendCode, *protocol.SubmitCode:
		s.onAsked(&otpAsked{ctx, msg, reply})
	case *otpPrepared:
		s.onPrepared(m)
	case *otpSubmitted:
		s.onSubmitted(m)
	case otpDelivered:
	}
}

// onAsked starts a step, or lets it wait for the one in flight.
func (s *otpSession) onAsked(a *otpAsked) {
	switch {
	case s.current == nil:
		s.begin(a)
	case len(s.waiting) < otpWaiting:
		s.waiting = append(s.waiting, a)
	default:
		a.reply.Refuse(ErrBusy)
	}
}

// begin takes no longer than the asker waits: what he was told came to nothing must not count a try later.
func (s *otpSession) begin(a *otpAsked) {
	s.current = a
	s.self.Go(a.ctx, a.reply.left(otpStep), func(ctx context.Context) any {
		switch m := a.msg.(type) {
		case *protocol.SendCode:
			code, err := s.desk.Prepare(ctx, m)
			return &otpPrepared{code, err}
		case *protocol.SubmitCode:
			in, err := s.desk.Submit(ctx, m, time.Now())
			return &otpSubmitted{in, err}
		default:
			return otpDelivered{}
		}
	})
}

// onPrepared hands the code over off the actor's turn and goes on with whoever waits.
func (s *otpSession) onPrepared(p *otpPrepared) {
	asked := s.current
	s.next()
	if p.err != nil {
		asked.reply.Refuse(p.err)
		return
	}
	s.self.Go(asked.ctx, login.ProviderWait, func(ctx context.Context) any {
		if sent, err := s.desk.Deliver(ctx, p.code); err != nil {
			asked.reply.Refuse(err)
		} else {
			asked.reply.Answer(sent)
		}
		return otpDelivered{}
	})
}

func (s *otpSession) onSubmitted(r *otpSubmitted) {
	asked := s.current
	s.next()
	if r.err != nil {
		asked.reply.Refuse(r.err)
		return
	}
	asked.reply.Answer(r.in)
}

// next begins with the first who still waits.
func (s *otpSession) next() {
	s.current = nil
	for len(s.waiting) > 0 && s.current == nil {
		a := s.waiting[0]
		s.waiting = s.waiting[1:]
		if a.reply.left(otpStep) > 0 {
			s.begin(a)
		}
	}
}

// Passivate implements Actor.
func (s *otpSession) Passivate(context.Context) bool { return s.current == nil && len(s.waiting) == 0 }

// Stopped implements Stopper: whoever still waits hears that it was interrupted.
func (s *otpSession) Stopped() {
	if s.current != nil {
		s.current.reply.Refuse(ErrInterrupted)
	}
	for _, a := range s.waiting {
		a.reply.Refuse(ErrInterrupted)
	}
}

// Logins reaches OTP sessions for transports.
type Logins struct{ router Router }

var _ protocol.Logins = (*Logins)(nil)

// NewLogins makes the façade over a router that knows the kind of OTP sessions.
func NewLogins(r Router) *Logins { return &Logins{router: r} }

// SendCode implements protocol.Logins.
func (l *Logins) SendCode(ctx context.Context, m *protocol.SendCode) (*protocol.CodeSent, error) {
	return askOTP[*protocol.CodeSent](ctx, l.router, protocol.OTPAddress(m.Key), m)
}

// SubmitCode implements protocol.Logins.
func (l *Logins) SubmitCode(ctx context.Context, m *protocol.SubmitCode) (*protocol.LoggedIn, error) {
	return askOTP[*protocol.LoggedIn](ctx, l.router, protocol.OTPAddress(m.Key), m)
}

func askOTP[A any](ctx context.Context, r Router, to Address, m any) (A, error) {
	v, err := r.Ask(ctx, to, m)
	if err != nil {
		var none A
		return none, err
	}
	return v.(A), nil
}
