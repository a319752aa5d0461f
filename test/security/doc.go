// Package security holds the product to the thirty checks of docs/security.md, as a stranger with a
// network cable would: against the real binary, on dev (SQLite) and on serve (private Postgres and
// Redis), through the public port only. A check's subtest carries its number.
//
// Invariants of the checks themselves:
//   - The limits are the product's own. Only what runs out after minutes is asked of a second server
//     whose logins live sixty times as fast (LOGIN_TIME_SCALE=60).
//   - Every case has its own phones, its own address (X-Forwarded-For behind one trusted hop) and its own
//     device, so that no case is refused for what another did.
//   - Before something is shown to be refused, the same thing is shown to be accepted where it is right.
package security
