// Package simulate moves trucks against a running server, over real sockets and as real users: for
// load and correctness (Run), and to keep a demo world alive (Fleet).
//
// A ride is one driver on one trip: his transporter assigns it over REST, the driver accepts, reports
// his steps, and streams a recorded drive laid along an Indian lane, through a phone with the faults
// that phones have (package trace). A watcher is the trip's customer on a socket of his own.
//
// Because the generator knows which fixes it spoiled, Run can judge the server: when the stream has
// ended, every watcher's last position must be the newest fix of his driver that was neither bad nor
// sent too late, and every step the server acknowledged must have reached him as an event.
//
// Invariants: what is in flight is bounded (requests by a gate, frames by the client's queue);
// everything ends with its context; whatever went wrong is counted as an error, never only printed.
package simulate
