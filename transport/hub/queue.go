package hub

// waiting is the newest position of each trip that a socket has not written yet, oldest trip first.
// It is a small slice; an index is kept only when it grows.
type waiting struct {
	list  []waitingPos
	index map[string]int // trip → place in list; nil while the list is short
}

type waitingPos struct {
	trip    string
	message []byte
}

const indexFrom = 16

// put keeps the newest message of the trip and tells whether it took the place of an older one.
func (w *waiting) put(trip string, message []byte) (replaced bool) {
	if i, ok := w.find(trip); ok {
		w.list[i].message = message
		return true
	}
	if w.index != nil {
		w.index[trip] = len(w.list)
	}
	w.list = append(w.list, waitingPos{trip, message})
	if w.index == nil && len(w.list) > indexFrom {
		w.reindex()
	}
	return false
}

func (w *waiting) find(trip string) (int, bool) {
	if w.index != nil {
		i, ok := w.index[trip]
		return i, ok
	}
	for i := range w.list {
		if w.list[i].trip == trip {
			return i, true
		}
	}
	return 0, false
}

// takeAll empties it and appends the messages, oldest trip first, to out.
func (w *waiting) takeAll(out [][]byte) [][]byte {
	for i := range w.list {
		out = append(out, w.list[i].message)
		w.list[i] = waitingPos{}
	}
	w.list, w.index = w.list[:0], nil
	if cap(w.list) > 4*indexFrom {
		w.list = nil
	}
	return out
}

// takeTrip removes the position of one trip.
func (w *waiting) takeTrip(trip string) []byte {
	i, ok := w.find(trip)
	if !ok {
		return nil
	}
	message := w.list[i].message
	w.list = append(w.list[:i], w.list[i+1:]...)
	w.index = nil
	if len(w.list) > indexFrom {
		w.reindex()
	}
	return message
}

func (w *waiting) reindex() {
	w.index = make(map[string]int, 2*len(w.list))
	for i := range w.list {
		w.index[w.list[i].trip] = i
	}
}
