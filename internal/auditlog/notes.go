package auditlog

import (
	"fmt"
	"time"
)

const (
	// noteWindow is for how long the same note is counted before the count is written.
	noteWindow = time.Minute
	// notesEvery is how often the recorder looks for windows that are over.
	notesEvery = 5 * time.Second
	// maxApart bounds the notes of one action and reason that are told apart at a time. What comes beyond
	// them is counted together: a flood from everywhere leaves no more than two rows a minute for each.
	maxApart = 32
	// maxNotes bounds the notes that are told apart at a time in all.
	maxNotes = 4096
)

// noteKind is what is always told apart: both are of closed sets.
type noteKind struct{ action, reason string }

// noteKey is what is told apart while there is room. Of what is counted together only the kind is known.
type noteKey struct {
	noteKind
	together                             bool
	actor, role, subject, network, phone string
}

type noted struct {
	since time.Time
	count int // of the window, after the note that was written at once
}

// notes counts what would fill the log: refusals that anybody can cause. The first of a key is written at
// once; while it comes again, one row a window says how often.
type notes struct {
	of    map[noteKey]*noted
	apart map[noteKind]int
}

func newNotes() notes { return notes{map[noteKey]*noted{}, map[noteKind]int{}} }

// again counts a note whose like was written within its window; false: it is to be written.
func (n *notes) again(e Entry, now time.Time) bool {
	key := noteKey{noteKind{e.Action, e.Reason}, false, e.Actor, e.Role, e.Subject, e.Network, e.PhoneHMAC}
	was, known := n.of[key]
	if !known && (n.apart[key.noteKind] >= maxApart || len(n.of) >= maxNotes) {
		key = noteKey{noteKind: key.noteKind, together: true}
		was, known = n.of[key]
		if !known { // nobody is named by the first of many
			n.of[key] = &noted{since: now, count: 1}
			return true
		}
	}
	if known {
		was.count++
		return true
	}
	n.of[key] = &noted{since: now}
	n.apart[key.noteKind]++
	return false
}

// over gives the rows of the windows that are over, or of all, and forgets the notes that did not come
// again in theirs.
func (n *notes) over(now time.Time, all bool) []Entry {
	var rows []Entry
	for key, was := range n.of {
		switch since := now.Sub(was.since); {
		case since < noteWindow && !all:
		case was.count == 0:
			n.forget(key)
		default:
			rows = append(rows, Entry{
				At: instant(now), Actor: key.actor, Role: key.role, Action: key.action, Subject: key.subject, Reason: key.reason,
				Network: key.network, PhoneHMAC: key.phone,
				Details: fmt.Sprintf(`{"repeated":%d,"within_s":%d}`, was.count, int(since.Round(time.Second).Seconds())),
			})
			*was = noted{since: now}
		}
	}
	return rows
}

func (n *notes) forget(key noteKey) {
	delete(n.of, key)
	if key.together {
		return
	}
	if n.apart[key.noteKind]--; n.apart[key.noteKind] <= 0 {
		delete(n.apart, key.noteKind)
	}
}
