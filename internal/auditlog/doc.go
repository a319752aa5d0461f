// Package auditlog keeps who did what to whose account: logins, codes, revocations, and everything that
// operators do or look at. Package audit is another thing: it checks the invariants of trips and orders.
//
// Invariants:
//
//   - The log only grows at its end. The stores refuse to change or remove a row, and each row's hash
//     covers the hash of the row before it, so that a row which was changed, removed or put in between
//     is found by Check, and one that was cut off the end by the head.
//
//   - Only what is older than a year goes, from the oldest on (Prune): the base moves to the last row
//     that went, and a row of LogPruned says so, in one transaction. A base that no row names is found;
//     rows that do not hold are not removed.
//
//   - What anybody can cause takes a bounded number of rows a minute, which count every one
//     (Recorder.Note).
//
//   - No phone number, code or token is in it. A phone is kept as an HMAC under the pepper: the same
//     number can be recognised, not read. An address is kept as its /24 or /48.
//
//   - Nobody logs in unseen. What a login says waits in a bounded buffer; when that is full, because
//     the store has been away for long, logins are refused (Recorder.Admit).
//
//   - What an operator does is written before it is done (Recorder.Append): there is no action without
//     its row. A row "….failed" follows one that came to nothing.
//
// A batch whose commit was cut off may be written twice; no row is ever missing.
package auditlog
