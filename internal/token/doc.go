// Package token mints and verifies the two tokens of a session: the access token that every request
// carries, and the refresh token that is exchanged for a new pair.
//
// Invariants:
//   - Only HS256 under a key we know by its kid is ever accepted. The header may hold alg, typ and kid
//     and nothing else, so neither "none", nor another algorithm, nor a key named by the token itself
//     can be smuggled in (RFC 8725 §3.1, §3.11, §3.12).
//   - Access and refresh tokens have separate secrets, a typ each in header and claims, and an
//     audience: one can never stand for the other.
//   - A token without exp, from the future, for another issuer or audience is refused. Base64 is
//     decoded strictly, so a token has exactly one spelling.
//   - A refresh token is a pure function of (family, generation): the same parent always yields the
//     same child, whoever asks and on whichever task.
//
// The package is pure: time and randomness are passed in, and whether a session was revoked is not
// its question (internal/session).
package token
