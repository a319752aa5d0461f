package hub

import "weelo/internal/token"

// Viewers gives the sockets of share links on this task by link, the oldest first. The map is the caller's.
func (h *Hub) Viewers() map[string][]*Socket {
	links := make(map[string][]*Socket)
	h.each(func(s *Socket) {
		if s.who.Role == token.Viewer {
			links[s.who.SessionID] = append(links[s.who.SessionID], s)
		}
	})
	return links
}

// Device tells two sockets of one user apart.
func (s *Socket) Device() string { return s.device }
