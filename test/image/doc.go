// Package image holds the checks of what is shipped: the Dockerfile as its own parser reads it, and the
// binary that its build line makes, run with nothing around it. They start processes, so they are kept
// out of the race run.
//
// Invariant: what the image contains can run: static, as nobody, in an empty root.
package image
