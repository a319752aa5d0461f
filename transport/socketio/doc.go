// Package socketio speaks Socket.IO protocol 5 over Engine.IO protocol 4 to the apps that people
// already have in their hands (socket.io-client-java 2.1), on the websocket transport only.
//
// What it is for: it translates. A packet becomes a call on a port (Drivers, Access, Inbox), and
// what the hub has for a user becomes the events of the apps' contract (§2.4). It decides nothing
// about trips and remembers nothing that a reconnecting client would need: that is in the inbox.
//
// The invariants it keeps:
//   - Identity comes from the verified token of the CONNECT packet, never from a payload.
//   - The user's topics are joined before CONNECT is acknowledged, so nothing published after the
//     acknowledgement can be missed.
//   - One goroutine reads a socket and one writes it. The queue between the hub and the writer is
//     bounded: positions are latest-wins per trip, and a client that cannot keep up is closed.
//   - update_location and heartbeat carry no time of their own. They move the live position with
//     the time of their arrival and never enter the track; the same points come again in a batch.
//   - Times leave as yyyy-MM-ddTHH:mm:ss.SSSZ, exactly three decimals, because one app parses
//     nothing else. Places leave with both spellings (latitude/longitude and lat/lng).
//   - Every mapping from an event of the domain to the names of the contract is one row of one
//     table (events.go).
//
// Numbers and limits: maxPayload, ping interval and time-out are in the open packet. `_seq` of an
// event is its number in the recipient's inbox; a client that connects with `lastSeq` gets every
// later one again, marked `_replayed`.
//
// Not spoken: HTTP long-polling (answers 400 "Transport unknown"), namespaces other than "/",
// binary attachments (parsed, refused, closed), connection state recovery (the inbox replaces it).
//
// docs/socketio.md says the same for people who write a client.
//
//go:generate go test -run ^TestDocsSayWhatTheTableSays$ -update .
package socketio
