// Package arch keeps the shape of the house: which package may import which, what the domain must
// never touch, and how much of it the tests reach. It is tests only; nothing imports it.
//
// Invariant: decisions stay pure. A domain package whose import closure reaches the network, a file
// or a database fails the build here, whatever a single file's imports look like.
package arch
