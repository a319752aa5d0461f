package web

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
)

// session gives the page a short token. Only a script of the page itself gets one: the browser says
// where a request comes from, and a page of another site cannot make it say same-origin.
func (s *Site) session(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(r) {
		refuse(w, http.StatusForbidden, "ORIGIN_NOT_ALLOWED", "Only the map itself may ask for its session.")
		return
	}
	if !fromThisMachine(r) {
		refuse(w, http.StatusForbidden, "NOT_THIS_MACHINE", "The map shows everybody's trips: open it on the machine that weelo dev runs on.")
		return
	}
	session, err := s.cfg.Sessions.MapSession(r.Context())
	if err != nil {
		s.log.ErrorContext(r.Context(), "no session for the map", "error", err)
		refuse(w, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE", "Please try again in a moment.")
		return
	}
	answer(w, map[string]any{
		"token": session.Token, "expMs": session.Expires.UnixMilli(), "serverMs": time.Now().UnixMilli(),
	})
}

// fromThisMachine tells whether the connection comes from this machine itself. Headers are not asked: whoever is no
// browser writes them as he likes.
func fromThisMachine(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback()
}

// sameOrigin tells whether a request was made by a page of this server. Every browser that can draw
// the map sends Origin with a POST; Sec-Fetch-Site, where it is sent, must agree.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin != "http://"+r.Host && origin != "https://"+r.Host {
		return false
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin"
}

// maxTimeline bounds one timeline; a trip has a few dozen events.
const maxTimeline = 500

// timelineEvent is one line of a trip's history as the page gets it. Times are Unix ms.
type timelineEvent struct {
	ID      string          `json:"id"`
	Version int64           `json:"version"`
	Type    string          `json:"type"`
	At      int64           `json:"at"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// timeline is everything that happened to a trip, oldest first, for ops only.
func (s *Site) timeline(w http.ResponseWriter, r *http.Request) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	who, err := s.cfg.Tokens.Verify(bearer, time.Now())
	if err != nil || who.Role != fleet.Ops {
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "Please log in again.")
		return
	}
	id := r.PathValue("id")
	if uuid.Validate(id) != nil {
		refuse(w, http.StatusNotFound, "NOT_FOUND", "There is no such trip.")
		return
	}
	recorded, err := s.cfg.History.Events(r.Context(), ledger.Ref{Kind: ledger.Trip, ID: id}, 0, maxTimeline)
	if err != nil {
		s.log.ErrorContext(r.Context(), "timeline not read", "error", err)
		refuse(w, http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE", "Please try again in a moment.")
		return
	}
	if len(recorded) == 0 {
		refuse(w, http.StatusNotFound, "NOT_FOUND", "There is no such trip.")
		return
	}
	events := make([]timelineEvent, len(recorded))
	for i, e := range recorded {
		events[i] = timelineEvent{ID: e.Event.ID, Version: e.Version, Type: e.Event.Type, At: e.Event.At.UnixMilli(), Data: e.Event.Data}
	}
	answer(w, map[string]any{"tripId": id, "events": events})
}
