// Package door is what the native socket and Socket.IO ask of a request before they let it in: which
// host it thinks this is, which page it comes from, whether it shows a secret in its URL, and how many
// others from the same address have not said yet who they are.
//
// Invariants:
//   - Host and Origin are held against exact lists. A request without an Origin is not from a page.
//   - A secret in a URL is refused whatever its worth: it is in logs already.
//   - A place in the lobby is given back exactly once, and nothing of an address is kept without places.
package door

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Lists are whom a door opens for.
type Lists struct {
	// Hosts are the Host headers that are served, with or without a port; empty serves any.
	Hosts []string
	// Origins are the exact origins (scheme://host[:port]) of pages that may connect.
	Origins []string
}

// Host tells whether the request thinks it is at a served host.
func (l Lists) Host(r *http.Request) bool {
	if len(l.Hosts) == 0 {
		return true
	}
	name := r.Host
	if h, _, err := net.SplitHostPort(r.Host); err == nil {
		name = h
	}
	return slices.ContainsFunc(l.Hosts, func(h string) bool {
		return strings.EqualFold(h, r.Host) || strings.EqualFold(h, name)
	})
}

// Page tells whether the request comes from a listed page, or from none.
func (l Lists) Page(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	return len(origins) == 0 || len(origins) == 1 && slices.Contains(l.Origins, origins[0])
}

// plain writes names in one word.
var plain = strings.NewReplacer("_", "", "-", "")

// SecretIn tells whether a query carries what looks like a token or a ticket, by its name in any case.
func SecretIn(query url.Values) bool {
	for name := range query {
		switch plain.Replace(strings.ToLower(name)) {
		case "token", "accesstoken", "refreshtoken", "idtoken", "authtoken", "bearer", "bearertoken", "ticket", "jwt", "auth", "authorization":
			return true
		}
	}
	return false
}
