// Package ws is the native WebSocket of Weelo: GET /ws/v1, subprotocol weelo.v1, JSON text frames.
//
// It accepts and authenticates sockets, translates frames (transport/wire) to calls of the parts that
// do the work, and hands each socket to the hub, which decides what is sent and when.
//
// The invariants it keeps:
//   - Who a socket speaks for comes from its token alone, never from a frame.
//   - Nothing but a hello is read from a socket that has not said it, and that for HelloWait at most.
//   - Frame sizes, rates, waits and queues are bounded; who exceeds one gets an error frame or a close
//     code of design §7, is counted, and has changed nothing by it.
//   - A location frame costs no database call, no timer and no new goroutine on its way in.
//   - A batch is acknowledged after its commit and never before.
//
// A connection has one goroutine, which reads. It leaves net/http after the upgrade. Timers are one
// sweep per second over all connections, so their limits are exact to about a second.
package ws
