package protocol

import (
	"context"
	"encoding/hex"
	"hash/maphash"

	"weelo/internal/login"
	"weelo/internal/otp"
)

// SendCode asks the OTP session of a phone and role for a code; transports send it. The answer is
// *CodeSent, after the provider's word or ProviderWait. A second copy meets the cool-down and sends
// nothing.
type SendCode = login.SendCode

// CodeSent answers SendCode.
type CodeSent = login.CodeSent

// SubmitCode tries a code; transports send it. The answer is *LoggedIn. A second copy from the same
// device within 30 s yields the same session; from another device it is refused.
type SubmitCode = login.SubmitCode

// LoggedIn answers SubmitCode.
type LoggedIn = login.LoggedIn

// Logins is how transports reach OTP sessions. The implementation is actors.Logins.
type Logins interface {
	// SendCode refuses by the codes of the apps' contract §1.1 and §1.2, or BUSY.
	SendCode(ctx context.Context, m *SendCode) (*CodeSent, error)
	// SubmitCode likewise.
	SubmitCode(ctx context.Context, m *SubmitCode) (*LoggedIn, error)
}

var otpSeed = maphash.MakeSeed()

// OTPAddress is where the OTP session of a key receives, on this task: it is activated where the
// request came in, and the truth is in the store. The id is a keyed hash, so that no phone number
// appears in addresses, which are logged and traced; two keys that share one only share a queue.
func OTPAddress(k otp.Key) Address {
	var h maphash.Hash
	h.SetSeed(otpSeed)
	_, _ = h.WriteString(k.Literal()) // never fails
	return Address{Kind: KindOTP, ID: hex.EncodeToString(h.Sum(nil))}
}
