// Package wire is the JSON of the native WebSocket protocol weelo.v1: bytes to values and back.
//
// The invariants it keeps:
//   - Decoding never panics and never reads past the message; its work is linear in the length.
//   - What it accepts, encoding/json understands the same way; duplicate keys, invalid UTF-8, trailing
//     data and nesting deeper than maxDepth are refused.
//   - Unknown fields are ignored, an unknown t is refused; wrong types and values out of range are
//     refused before anybody acts on them.
//   - Decoding a fix and encoding a position do not use encoding/json and allocate at most once.
//
// Two kinds of refusal: *Malformed means that the message is not one of the protocol (the socket is
// closed with 4400); a *fault.Error means that a well-formed message cannot be accepted (an error
// frame). It translates only; it decides nothing about trips or people.
package wire
