package hub_test

import (
	"testing"
	"testing/synctest"

	"weelo/internal/fleet"
	"weelo/transport/hub"
)

// prompt is a pipe that takes what it can at once.
type prompt struct {
	*pipe
	full bool
}

func (p *prompt) TryWrite(m []byte) (bool, error) {
	if p.full {
		return false, nil
	}
	return true, p.Write(m)
}

// TestAnswerIsWrittenByItsCaller: at once when the peer keeps up, in its place when he does not.
func TestAnswerIsWrittenByItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := &prompt{pipe: newPipe()}
		s := w.Attach(hub.Attachment{
			Identity: identity("d1", fleet.Driver), Codec: words{join: 1}, Transport: p,
		})
		defer w.Detach(s)
		if !s.Answer([]byte("one")) {
			t.Fatal("refused")
		}
		if got := p.take(); got != "one" { // nobody else has run
			t.Errorf("written when it returned: %q", got)
		}
		p.full = true
		gate := make(chan struct{})
		p.hold(gate)
		s.Answer([]byte("two"))
		s.Send([]byte("three"))
		s.Answer([]byte("four"))
		synctest.Wait()
		if got := p.take(); got != "" {
			t.Errorf("written to a full connection: %q", got)
		}
		close(gate)
		p.hold(nil)
		synctest.Wait()
		if got := p.take(); got != "two\nthree\nfour" {
			t.Errorf("written in the end: %q", got)
		}
		s.End(hub.CodeSlow, "over")
		synctest.Wait()
		if s.Answer([]byte("five")) {
			t.Error("an ended socket took an answer")
		}
	})
}
