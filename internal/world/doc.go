// Package world makes up the people of a demo: Indian customers, transporters, drivers and trucks,
// and the places they drive between. It puts them into a store and writes who they are to files that
// the simulator, the benchmarks and scripts read.
//
// Invariants: the same Options make the same people, ids included, on every machine; seeding twice
// adds nothing. Everything is invented: no name, number or plate is anybody's on purpose.
package world
