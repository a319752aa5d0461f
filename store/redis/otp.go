package redis

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"weelo/internal/otp"
)

//go:embed otp_issue.lua
var otpIssueText string

//go:embed otp_withdraw.lua
var otpWithdrawText string

//go:embed otp_try.lua
var otpTryText string

//go:embed otp_consume.lua
var otpConsumeText string

var (
	otpIssue    = goredis.NewScript(otpIssueText)
	otpWithdraw = goredis.NewScript(otpWithdrawText)
	otpTry      = goredis.NewScript(otpTryText)
	otpConsume  = goredis.NewScript(otpConsumeText)
)

// OTP keeps challenges: one hash with a TTL per challenge, under the literal keys otp:9876543210:role
// and driver-otp:9123456789. Each step is one script on that one key and reads Redis's clock.
type OTP struct{ client goredis.UniversalClient }

var _ otp.Store = (*OTP)(nil)

// NewOTP makes one over a client (single or cluster).
func NewOTP(client goredis.UniversalClient) *OTP { return &OTP{client: client} }

// Issue adds a code.
func (s *OTP) Issue(ctx context.Context, k otp.Key, c otp.Code, life, cooldown time.Duration) (time.Duration, error) {
	wait, err := otpIssue.Run(ctx, s.client, []string{k.Literal()}, c.ID, c.Kid, c.Hash, c.Binding, ms(life), ms(cooldown)).Int64()
	if err != nil {
		return 0, fmt.Errorf("issue a code: %w", err)
	}
	return time.Duration(wait) * time.Millisecond, nil
}

// Withdraw takes back a code.
func (s *OTP) Withdraw(ctx context.Context, k otp.Key, id string) error {
	if err := otpWithdraw.Run(ctx, s.client, []string{k.Literal()}, id).Err(); err != nil {
		return fmt.Errorf("withdraw a code: %w", err)
	}
	return nil
}

// Look tells what a try would be.
func (s *OTP) Look(ctx context.Context, k otp.Key, by otp.Sender, limit int) (otp.Outlook, error) {
	got, err := otpTry.Run(reading(ctx), s.client, []string{k.Literal()}, trying(by, limit, "look")...).Int64Slice()
	if err != nil {
		return otp.Outlook{}, fmt.Errorf("look at a code: %w", err)
	}
	if len(got) != 2 {
		return otp.Outlook{}, fmt.Errorf("look at a code: %d values", len(got))
	}
	return otp.Outlook{Standing: otp.Standing(got[0]), Live: got[1] > 0}, nil
}

// Try counts a try.
func (s *OTP) Try(ctx context.Context, k otp.Key, by otp.Sender, limit int) (otp.Attempt, error) {
	got, err := otpTry.Run(ctx, s.client, []string{k.Literal()}, trying(by, limit, "count")...).Slice()
	if err != nil {
		return otp.Attempt{}, fmt.Errorf("count a try: %w", err)
	}
	if len(got) != 4 {
		return otp.Attempt{}, fmt.Errorf("count a try: %d values", len(got))
	}
	standing, _ := got[0].(int64)
	tries, _ := got[1].(int64)
	a := otp.Attempt{Standing: otp.Standing(standing), Tries: int(tries)}
	codes, _ := got[2].([]any)
	for _, c := range codes {
		a.Codes = append(a.Codes, codeOf(texts(c)))
	}
	if f := texts(got[3]); len(f) == 8 {
		claim := claimOf(f)
		a.Claim = &claim
	}
	return a, nil
}

// trying are the arguments of otp_try.lua.
func trying(by otp.Sender, limit int, what string) []any {
	args := []any{by.Challenge, limit, what}
	for _, device := range by.Devices {
		args = append(args, device)
	}
	return args
}

// Consume lets one caller win.
func (s *OTP) Consume(ctx context.Context, k otp.Key, c otp.Claim, window time.Duration) (otp.Claim, bool, error) {
	got, err := otpConsume.Run(ctx, s.client, []string{k.Literal()}, c.ID, c.Device, c.Session, ms(window)).Slice()
	if err != nil {
		return otp.Claim{}, false, fmt.Errorf("consume a code: %w", err)
	}
	if len(got) != 2 {
		return otp.Claim{}, false, fmt.Errorf("consume a code: %d values", len(got))
	}
	won, _ := got[0].(int64)
	if f := texts(got[1]); len(f) == 8 {
		return claimOf(f), won == 1, nil
	}
	return otp.Claim{}, false, nil
}

// ms never rounds a wait down to nothing; only nothing is nothing.
func ms(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return max(1, d.Milliseconds())
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, len(list))
	for i, x := range list {
		out[i], _ = x.(string)
	}
	return out
}

func codeOf(f []string) otp.Code {
	if len(f) < 5 {
		return otp.Code{}
	}
	return otp.Code{ID: f[0], Kid: f[1], Hash: f[2], Binding: f[3], Expires: atMS(f[4])}
}

func claimOf(f []string) otp.Claim {
	return otp.Claim{Code: codeOf(f), Device: f[5], Session: f[6], Until: atMS(f[7])}
}

func atMS(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
