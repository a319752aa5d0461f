// Package trip decides what may happen to one trip: a driver and a vehicle on one slot, from
// assignment to a terminal state. It is pure: Decide and Apply have no clock, no I/O and no
// randomness, so the whole life of a trip can be replayed.
//
// The invariants it keeps:
//   - A status moves only along the table in status.go; a terminal status has no successor.
//   - State is the fold of its events: Apply over Decision.Events is the only way it changes.
//   - live is false exactly in a terminal status; every live status has an armed timer that ends
//     the wait (accept) or hands it to people (silence). A silent trip is flagged, never cancelled.
//   - A command repeated in the state it asks for is a replay: no event, the same answer.
//   - A refusal is a *fault.Error and changes nothing.
//
// Authority: the stored row. A trip that two activations believe to own is decided twice and
// committed once (package ledger).
package trip

//go:generate go test . -run ^TestDiagram$ -update
