// Package order decides what may happen to one order: a customer's request for N trucks, from its
// birth to a terminal state. It is pure: Birth, Decide and Apply have no clock, no I/O and no
// randomness, so the whole life of an order can be replayed, and every answer explained.
//
// The invariants it keeps:
//   - A status of the order and of each slot moves only along the tables in status.go.
//   - State is the fold of its events: Apply over Decision.Events is the only way it changes.
//   - A slot has at most one winner: it is in at most one active hold and carries at most one trip.
//   - Only who was offered the order may hold, and nobody holds or confirms after its search closed.
//   - Whatever waits has an armed timer (settle.go arms them from the state alone); a terminal order
//     has none. Trips that an order waits for keep timers of their own.
//   - An order that becomes terminal, or full, closes its offer for everybody who was shown it.
//   - trucksFilled counts the slots whose driver has accepted and that were not given back since.
//   - After the end of an order nothing happens but the resolution of its dispute; late letters are recorded.
//   - A command repeated in the state it asks for is a replay: no event, the same answer.
//   - A refusal is a *fault.Error and changes nothing.
//
// Authority: the stored row. An order that two activations believe to own is decided twice and
// committed once (package ledger). Decisions over several aggregates (confirm, cancel) carry the
// trips' own transitions, to be committed with the order's in one transaction.
package order

//go:generate go test . -run ^TestDiagram$ -update
