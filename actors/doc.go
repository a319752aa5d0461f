// Package actors runs Weelo's live state: drivers, trips, transporters and login challenges, each an
// actor that owns its state and handles one message at a time.
//
// # The cast
//
//	kind         identity         truth                         lives on                    leaves memory
//	otp          flow/role/phone  one Redis hash with TTL       the task that got the request   TTL + 30 s
//	driver       driver id        soft, rebuilt from frames     the task with the socket        offline, idle 5 min
//	transporter  transporter id   soft                          the task with the socket        offline, idle 5 min
//	trip         trip id          fenced row + events (ledger)  its owner                       terminal + 1 min
//
// # Message dictionary
//
// Messages are in actors/protocol, one file per receiving actor; each says who sends it, what the
// answer is, and why a late or second copy is harmless.
//
//	to a trip         TripCommand (ask)   transports      accept, decline, status, cancel: internal/trip decides
//	                  GetTrip (ask)       transports      the last committed state
//	                  Hint                Assignments     a row was born: claim it
//	                  TimerDue            own clock, Sweeper   the armed number only
//	                  DriverMoved         driver          a sampled position: no silence
//	                  FixesRecorded       TrackRecorder   the track grew: fold it anew
//	to a driver       the slot of a link  transports      the newest position and a sign of life
//	                  SocketAttached, SocketDetached, DriverBeat, DriverAvailable (ask), GetDriver (ask)
//	                  GetDriver (ask)     trip            where he is, when a step depends on it
//	                  TripTaken, TripLeft trip            whom his positions concern
//	to a transporter  TransporterAttached, TransporterDetached, TransporterBeat,
//	                  TransporterAvailable (ask), GetTransporter (ask)
//	                  FleetDriver         driver          a driver came online or went offline
//	to any durable    Letter (ask)        sender, Relay   until its receiver has committed it
//
// # Layers
//
//   - Router: Tell, Ask, Owner. System is the local one; actortest.Routers is what any must keep.
//   - System: activation table, bounded queues, passivation, panics, quarantine, drain, traces.
//     The actor library (protoactor-go) is used for mailboxes and scheduling, in this package only.
//     A turn ends only when its mailbox is empty, because the library drops what is left in one.
//   - Durable: the shell of fenced aggregates: claim, decide, commit, and only then answer.
//   - Trips, DriverActors, TransporterActors: what makes a kind. Receive is a table of contents.
//   - Assignments, Drivers, Transporters: what transports hold instead of a Router.
//   - Sweeper, Relay, PresenceWriter: one of each per task, with a Run that somebody owns.
//
// # What is guaranteed
//
//   - One activation of an address per task. On several tasks there may be two for seconds; for
//     fenced aggregates only one of them can commit, and the other stops.
//   - Order: messages of one sender to one actor are handled in order, unless it crashes in between.
//   - Delivery is at most once. Queues are bounded and refuse (BUSY) before they accept. What was
//     accepted is handled by this activation or by the next one, or counted as a dead letter.
//   - A panic costs its own message. The actor is rebuilt from the store by the next message; a
//     command that breaks it three times is kept from it and answered POISONED. An actor that breaks ten
//     times in ten minutes is taken out: nothing reaches it, and QUARANTINED is the answer, until
//     operators release it (without a row: for ten minutes).
//   - Whoever asks is always answered: by the actor, by INTERRUPTED when it stopped first, or by
//     NO_ANSWER at his own deadline. A command that certainly had no effect is tried again by Ask.
//   - Nothing leaves a durable actor before its commit: no answer, no message, no event.
//   - A position allocates nothing on its way but the scheduling of an idle mailbox, and a slow actor
//     has at most one of a socket in its queue.
//
// # What a crash of the task costs
//
// Soft state (presence, last fix) until the next frame. Durable state nothing: the next activation
// claims the row, and its timers are rows too.
package actors
