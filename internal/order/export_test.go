package order

// Told is one event that people were told, for tests.
type Told struct {
	Kind string
	To   map[string]bool
	Data any
}

// TellTale gives what a decision tells people.
func TellTale(d Decision) []Told {
	var out []Told
	s := d.before
	for _, e := range d.Events {
		before := s
		s = Apply(s, e)
		for _, n := range notices(before, s, e) {
			if len(n.to) == 0 {
				continue
			}
			to := map[string]bool{}
			for _, id := range n.to {
				to[id] = true
			}
			out = append(out, Told{n.kind, to, n.data})
		}
	}
	return out
}
