// Package redis keeps what several tasks share and may be rebuilt: login challenges, limits, presence,
// positions, socket tickets, an index of sessions, who follows share links.
//
// Invariants: one step is one command or one named script (*.lua, with its contract at its head) on
// one key, so everything works in cluster mode, where a command over two slots fails; the clock of
// expiring things is Redis's own; each call has a budget and is never repeated by itself; keys are in
// no log and no trace, because they contain phone numbers. FLUSHALL costs latency and new login codes.
package redis
