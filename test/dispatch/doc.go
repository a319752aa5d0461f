// Package dispatch holds the proof that clients of orders and trips see registers: whatever they do at
// once, through timers, a takeover by another task and a killed database, some order of single holds,
// confirmations, answers and ends explains what each of them was told.
//
// It wires the actors of orders and trips to the real stores, as cmd does, but for the transports.
//
// Invariants: a slot has one winner, a driver and a vehicle are on one live trip, nothing is won after the
// end (docs/invariants.md I8–I11).
package dispatch
