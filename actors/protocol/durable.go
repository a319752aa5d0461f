package protocol

import (
	"encoding/json"
	"strconv"
)

// TimerDue is sent to a durable actor by its own clock or by the sweeper when a timer row is overdue.
// No answer. A number that is not the armed one is ignored, so a second copy is harmless.
type TimerDue struct {
	Name   string
	Number int64
}

// CommandID names the arming, the same one however often its firing is delivered. The stores know the
// form: of an arming in quarantine they tell whether it is still armed.
func (t TimerDue) CommandID() string {
	return "timer:" + t.Name + ":" + strconv.FormatInt(t.Number, 10)
}

// Hint tells a durable actor that somebody else's transaction gave birth to its row, or wrote version
// Version of it. It activates, loads and arms its timers; an activation that already knows the version
// does nothing. No answer; a lost or second hint is harmless.
type Hint struct{ Version int64 }

// Letter is a durable message on its way to its receiver. It is sent again until the receiver has
// committed it (or consumed it as already known), which the answer Done says.
type Letter struct {
	ID   string // the command id at the receiver
	Type string // names the body
	Body json.RawMessage
}

// CommandID is the letter's own.
func (l *Letter) CommandID() string { return l.ID }
