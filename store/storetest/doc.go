// Package storetest holds one conformance suite per store port. Every backend's test is a few lines
// that hand an empty store to the suite; what the suite says is what the port means.
//
// Invariant: a suite asserts nothing that only one backend could keep; where a backend's clock cannot
// be moved (Clocked.Real), the suite leaves out what would be a race against the machine.
package storetest
