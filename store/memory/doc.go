// Package memory keeps, in this process, what Redis keeps for several: login challenges, limits,
// presence, positions, socket tickets. It is the shared side of weelo dev and of tests.
//
// Invariants: every store passes the same conformance suite as its Redis counterpart; time is passed
// in, so that all of it runs inside testing/synctest; no map grows without bound. A restart loses
// everything, which costs latency and a new login code, never correctness.
package memory
