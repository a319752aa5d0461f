// Package pricing says what a trip costs: the formula of the apps' contract (§5), the surge of the
// hour, and the floor below which no customer's price is taken.
//
// It is pure: the time of a quote is passed in. Money is whole rupees, distances are km.
//
// Invariants:
//   - No price is below the minimum of its kind, nor below its floor: what was quoted may be ordered.
//   - Within a distance slab a longer trip never costs less. Across the edge of a slab it may: the
//     slabs are the contract's.
//   - A quote depends on its request and the surge bucket alone, so that all tasks, and the same
//     customer within five minutes, get the same.
package pricing
