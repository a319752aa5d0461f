// Package web serves the pages that the binary carries. Today there is one: the live map of `weelo
// dev`, moving trucks on a plain ground of place names, with the age of every position and the
// timeline of every trip.
//
// The page is what is in static/: plain ES modules without a bundler, MapLibre GL JS beside its
// licence in static/vendor, everything embedded in the binary. It reads the same native WebSocket as
// any other client (a watch on all trips) and nothing else.
//
// The invariants it keeps:
//   - A page runs only scripts of this server: a strict Content-Security-Policy without inline script
//     or style, and nothing from other hosts but the base map that the operator chose.
//   - What people typed (names, plates, addresses) reaches the page as text, never as markup.
//   - The session that the page needs without a login is given only to the page itself: to requests
//     under a name that is listed (no DNS rebinding) and from the same origin. It exists in dev only.
//   - No borders of countries are drawn: their depiction is a matter of law where this is used.
package web
