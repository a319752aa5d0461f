// Package acceptance walks through the product as people use it: the real binary as a child process,
// real sockets, on dev (SQLite) and on serve (private Postgres and Redis), with kill -9 in the middle.
// It starts many processes, so it is kept out of the race run.
//
// Invariants it holds the product to: what was acknowledged is never lost; a watcher that comes back
// gets what it missed, in order, once; a start that cannot be right says everything that is wrong.
package acceptance
