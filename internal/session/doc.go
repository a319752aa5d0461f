// Package session keeps who is logged in: refresh families, the pairs of tokens they yield, and which
// of them were revoked.
//
// A family is one login on one device. Its state is one number, Presented: the highest generation of
// its refresh tokens that anybody ever presented.
//
//	presented generation   what it means                     what happens
//	= Presented            the parent again                  the same child again
//	= Presented + 1        the child for the first time      Presented rises; the next child
//	< Presented            a parent after its child          reuse: the family is revoked
//	> Presented + 1        never handed out                  refused, nothing changes
//
// Invariants:
//   - A parent stays good until its child is first presented (the apps keep their first token for
//     ever) and always yields the same child, however many ask at once and on however many tasks.
//   - There are never two live children: what a token yields is a function of family and generation,
//     and Presented only rises by one, by compare-and-set in the durable store.
//   - A forged or expired token changes nothing.
//   - A session of a driver is bound to the driver's membership in a fleet.
//
// The truth is the durable store (session_family). Redis holds an index of it that may be lost at any
// moment. Every task learns of revocations by reading the store each second, and asks it again about each
// session that holds a socket here every ten.
package session
