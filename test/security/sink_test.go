package security

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink is where the SMS of an installation go.
type sink struct {
	path string
	mu   sync.Mutex
	read map[string]int // by number: messages that were taken
}

// sms is one message; To is E.164.
type sms struct{ To, Body, Code string }

func newSink(path string) *sink { return &sink{path: path, read: map[string]int{}} }

// to gives every message to a ten-digit number so far.
func (s *sink) to(phone string) (messages []sms) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil // the first message makes it
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var m sms
		if json.Unmarshal(lines.Bytes(), &m) == nil && m.To == "+91"+phone {
			messages = append(messages, m)
		}
	}
	return messages
}

// next waits for the number's next message that was not taken yet.
func (s *sink) next(t testing.TB, phone string) sms {
	t.Helper()
	s.mu.Lock()
	n := s.read[phone]
	s.read[phone]++
	s.mu.Unlock()
	var all []sms
	eventually(t, 15*time.Second, "an SMS to ..."+phone[len(phone)-4:], func() bool { all = s.to(phone); return len(all) > n })
	if m := all[n]; len(m.Code) != 6 || !strings.Contains(m.Body, m.Code) {
		t.Fatalf("an SMS without a code: %+v", m)
	}
	return all[n]
}

// wrong is a code that is not the right one; different n give different ones.
func wrong(right string, n int) string {
	digits := []byte(right)
	digits[n%6] = '0' + (digits[n%6]-'0'+1+byte(n/6))%10
	return string(digits)
}
