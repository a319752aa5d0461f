// Package client speaks to a Weelo server as an app does: the native WebSocket and the few REST calls
// that a trip needs. The simulated fleet, the benchmark, the tests and the quickstart use it.
//
// The invariants a Session keeps:
//   - Every durable event reaches Frames once and in order of its number, over any number of
//     reconnects, or a Resynced frame says that state has to be loaded anew.
//   - It reconnects with full jitter, so that many clients do not come back at once, and stops for good
//     where reconnecting cannot help (forbidden, replaced, malformed, too big).
//   - Its queue is bounded: a reader that does not read is felt by the server, not by the memory.
package client
