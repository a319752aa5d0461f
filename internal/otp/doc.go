// Package otp is the rules of one-time codes: what is kept of a code, how many may live, how many
// tries there are, and who wins when several try at once.
//
// Invariants:
//   - A code is never stored, only an HMAC of it under a pepper that the store does not have. Flow,
//     role, phone and challenge are inside the HMAC, so a code is good for nothing else.
//   - A try is counted before it is compared. Per key (one phone in one role) there is one counter for
//     all live codes; a resend gives fresh tries, the 24-hour ceiling (Fails) does not. What there is to
//     compare with is had by counting only.
//   - At most two codes live per key, so that a stranger's request does not kill the one that is on
//     its way; a third replaces the oldest.
//   - A code is consumed by exactly one device. That device alone may repeat the same code for a
//     short window and gets the same session, because its answer may have been lost.
//
// Challenge is the pure core: what a store does in one atomic step is one of its methods. The memory
// store calls them; the Redis store's scripts do the same on one hash, by Redis's own clock; the
// conformance suite (store/storetest) holds them together. When Redis is away nothing is sent or
// verified: a fallback elsewhere would lose the limits.
package otp
