// Package actors runs Weelo's live state: drivers, trips, transporters, orders and login challenges,
// each an actor that owns its state and handles one message at a time.
//
// # The cast
//
//	kind         identity        truth                         activated by
//	otp          flow/role/phone one Redis hash                the task that got the request
//	driver       driver id       soft, rebuilt from frames     the task that holds the socket
//	transporter  transporter id  soft                          the task that holds the socket
//	trip         trip id         fenced row + events (ledger)  any message, on its owner
//	order        order id        fenced row + events (ledger)  any message, on its owner
//
// Messages are in actors/protocol, one file per receiving actor; each says who sends it, what the
// answer is, and why a late or second copy is harmless.
//
// # Layers
//
//   - Router: Tell, Ask, Owner. System is the local one; actortest.Routers is what any must keep.
//   - System: activation table, bounded queues, passivation, panics, quarantine, drain, traces.
//     The actor library (protoactor-go) is used for mailboxes and scheduling, in this package only.
//   - Durable: the shell of fenced aggregates: claim, decide, commit, and only then answer.
//   - Trip, Driver, Transporter: one file per actor. Receive is a table of contents.
//
// # What is guaranteed
//
//   - One activation of an address per task. On several tasks there may be two for seconds; for
//     fenced aggregates only one of them can commit.
//   - Order: messages of one sender to one actor are handled in order, unless it crashes in between.
//   - Delivery is at most once. Queues are bounded and refuse (BUSY) before they accept. What was
//     accepted is handled by this activation or by the next one, or counted as a dead letter.
//   - A panic costs its own message. The actor is rebuilt from the store by the next message; a
//     command that breaks it three times is kept from it and answered POISONED.
//   - Whoever asks is always answered: by the actor, by INTERRUPTED when it stopped first, or by
//     NO_ANSWER at his own deadline.
//   - Nothing leaves a durable actor before its commit: no answer, no message, no event.
//
// # What a crash of the task costs
//
// Soft state (presence, last fix) until the next frame. Durable state nothing: the next activation
// claims the row, and its timers are rows too.
package actors
