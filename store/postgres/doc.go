// Package postgres keeps what must never be lost, in production: the ledger of fenced aggregates
// (writer, claims, timers, outbox, inbox, history) and, in files of their own, the rows of people,
// sessions, fleet and fixes. Each port is one type over a shared *DB.
//
// Invariants: only the writer endpoint is used, decisions are never made on a replica. Every lane
// locks in one order: orders by id, trips by id, then timers, outbox, idem and event rows, then
// inbox heads by recipient. Work of different urgency has pools of its own, so that a slow report
// cannot hold up a commit.
package postgres
