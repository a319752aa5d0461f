package main

import (
	"crypto/rand"
	"net"
	"slices"
	"time"

	"github.com/google/uuid"

	reads "weelo/internal/access"
	"weelo/internal/share"
	"weelo/internal/token"
	"weelo/transport/hub"
	"weelo/transport/rest"
	"weelo/transport/web"
	"weelo/transport/ws"
)

// sharing is who makes share links and who looks after those that are followed here.
func (h *house) sharing() {
	h.shares = share.NewDesk(share.Config{
		Store: h.st.shares, Trips: reads.Ends{Trips: h.st.trips}, Mint: h.mint,
		Policy: share.DefaultPolicy().Scaled(h.p.cfg.Tests.LoginTimeScale), NewID: uuid.NewString, Random: rand.Reader, Now: time.Now,
	})
	h.viewers = share.NewGuard(h.shares, ws.ExpiryGrace+accessLeeway, func(link string) {
		h.hub.Disconnect(token.ViewersOf(link), link, hub.CodeUnauthorized, "the link is over")
	}, h.p.log)
	h.p.run("share links", h.viewers.Run)
	if h.st.seats != nil && !h.p.cfg.LimitsOff() {
		h.p.run("viewers of share links", share.NewUsher(h.st.seats, hub.MaxViewers, h.following, time.Now, h.p.log).Run)
	}
}

// following are the viewers of share links on this task.
func (h *house) following() map[string][]share.Viewer {
	links := map[string][]share.Viewer{}
	for link, sockets := range h.hub.Viewers() {
		for _, s := range sockets {
			links[link] = append(links[link], share.Viewer{Name: s.Device(), End: func() {
				s.Kill(hub.CodeReplaced, "replaced by a newer viewer of the link")
			}})
		}
	}
	return links
}

// over tells whether a session or a share link is known to be over.
func (h *house) over(session string) bool {
	return h.revoked.Revoked(session) || h.viewers.Over(session)
}

// shareRoutes add the links' routes and their page.
func (h *house) shareRoutes() error {
	cfg := h.p.cfg
	rest.RegisterSharing(h.api, rest.Sharing{
		Links: h.shares, Trips: h.reads, Hosts: cfg.Server.PublicHosts, Limits: h.requestLimits(), Audit: h.trail, Log: h.p.log,
	})
	page, err := web.NewSharePage(web.ShareConfig{Hosts: cfg.Server.PublicHosts, StyleURL: cfg.Server.MapStyleURL})
	if err != nil {
		return err
	}
	for _, pattern := range page.Patterns() {
		h.api.Mount(pattern, page)
	}
	return nil
}

// badges are what a socket may be opened with: credentials, and the tokens of viewers.
type badges struct {
	credentials
	viewers *share.Guard
}

// Verify reads an access token or the token of a viewer.
func (b badges) Verify(access string, now time.Time) (token.Identity, error) {
	id, err := b.mint.VerifyShare(access, now)
	if err != nil {
		return b.credentials.Verify(access, now)
	}
	if err := b.viewers.Admit(id.SessionID, id.ExpiresAt); err != nil {
		return token.Identity{}, token.ErrUnauthenticated
	}
	return id, nil
}

// pageOrigins are the origins whose pages may open sockets: the listed ones, and the page of share links
// under every public name.
func pageOrigins(allowed, hosts []string) []string {
	origins := slices.Clone(allowed)
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip == nil && host != "localhost" {
			origins = append(origins, "https://"+host)
		}
	}
	return origins
}
