// Package bench measures the product against a bare coder/websocket forwarder, for `weelo bench`.
//
// The invariants it keeps, so that a figure means something:
//   - Both servers run as processes of their own, fed by the same generator with the same frames at the
//     same rate; what is compared is CPU or memory of the server's process, never the generator's.
//   - Runs alternate (bare, weelo, bare, weelo …) and the median of each counts, so that a machine that
//     gets slower hits both alike. Figures of different runs are not comparable, ratios are.
//   - A run in which frames got lost or the generator could not keep the rate says so in the table.
//   - Everything is bounded: sockets, time, memory, and the whole by the context.
//
// It decides nothing and is no test: no figure of it fails a build.
package bench
