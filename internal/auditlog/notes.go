package auditlog

import (
	"fmt"
	"time"
)

const (
	// noteWindow is for how long the same note is counted instead of written.
	noteWindow = time.Minute
	// maxNotes bounds the notes that are counted apart. Beyond it they are counted by action and reason.
	maxNotes = 4096
)

type noteKey struct{ action, reason, network, phone string }

type noted struct {
	until time.Time
	count int // after the first
}

// notes counts what would fill the log: refusals that anybody can cause.
type notes struct{ of map[noteKey]*noted }

// again counts a note that was written within its minute; false: it is to be written.
func (n *notes) again(e Entry, now time.Time) bool {
	key := noteKey{e.Action, e.Reason, e.Network, e.PhoneHMAC}
	if _, known := n.of[key]; !known && len(n.of) >= maxNotes {
		key.network, key.phone = "", ""
	}
	if was, known := n.of[key]; known && now.Before(was.until) {
		was.count++
		return true
	} else if known && was.count > 0 { // its repeats have not been written yet
		was.count++
		return true
	}
	n.of[key] = &noted{until: now.Add(noteWindow)}
	return false
}

// over forgets the notes whose minute is over and gives the rows that say how often they came again.
func (n *notes) over(now time.Time) []Entry {
	var rows []Entry
	for key, was := range n.of {
		if now.Before(was.until) {
			continue
		}
		delete(n.of, key)
		if was.count > 0 {
			rows = append(rows, Entry{
				At: instant(was.until), Action: key.action, Reason: key.reason, Network: key.network, PhoneHMAC: key.phone,
				Details: fmt.Sprintf(`{"repeated":%d,"within_s":%d}`, was.count, int(noteWindow.Seconds())),
			})
		}
	}
	return rows
}
