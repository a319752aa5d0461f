// Package sqlite is the embedded durable store of `weelo dev`: one process, one file, the same ports
// and the same promises as store/postgres (store/storetest proves them on both).
//
// Invariants: one connection writes (BEGIN IMMEDIATE), so lock clauses are dropped; WAL with
// synchronous=FULL, so what was committed survives the process and the machine. Any error of COMMIT
// is an unknown outcome. Times are integers of microseconds since 1970, UTC.
package sqlite
