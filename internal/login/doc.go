// Package login decides who may log in, where the code goes, and what a right code yields. It is the
// order of steps over the ports of otp, session and notify; the OTP actor runs it, one step at a
// time per phone and role.
//
// Invariants:
//
//   - The code of a customer, transporter or ops user goes to their own phone; a driver's goes to the
//     phone of the transporter whose fleet the driver is in, and only there.
//
//   - A try is counted before it is compared, durably as failed and then in the challenge; one that was not
//     wrong is taken back. So no number of tries in flight, on any number of tasks, passes a phone's ceiling,
//     and a try that is answered 503 because the durable store is away uses up none of the code's.
//
//   - "Sent" is answered only when the provider took the message or its fate is unknown. A message
//     that was refused takes its code back, so the person may ask again at once.
//
//   - Of many right answers one wins; its device alone may repeat it and gets the same session.
//
//   - A stranger who uses up a phone's failed tries does not lock its owner out: a device that has
//     logged in before keeps a narrow lane of its own.
//
//   - Limits of address, device, number prefix and the day's messages are checked by the Gate, before
//     an actor is activated; those of a phone by the Desk, before the first write of Prepare.
package login
