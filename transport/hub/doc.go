// Package hub is where people are reached: it knows which sockets a user holds on this task and who
// watches which trip, order, fleet or everything, and it hands each of them what concerns him.
//
// The invariants it keeps:
//   - Events of one recipient leave a socket strictly by number, each once. A gap waits GapWait and is
//     then read from the inbox; what the hub drops, the inbox still has.
//   - Live frames are held until a resuming socket is synced.
//   - A position is encoded once per wire format. A socket keeps at most the newest position of each
//     trip; a slower reader sees fewer positions, never older ones after newer ones.
//   - No call of a publisher blocks: every queue is bounded, and who does not drain his is closed (4410).
//   - A watch starts only after Access allowed it, and ends when the trip ends or Access refuses it.
//
// The hub is authoritative for nothing: a crash loses sockets and unsent positions. Clients reconnect
// and resume from the inbox. It does not import actors; they see it as protocol.Publisher. The wire
// formats plug in as a Codec, the connections as a Transport.
package hub
