package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Console prints messages: the provider of dev. It is not a log.
type Console struct {
	mu  sync.Mutex
	out io.Writer
}

var _ Sender = (*Console)(nil)

// NewConsole makes one that prints to out.
func NewConsole(out io.Writer) *Console { return &Console{out: out} }

// Send prints one line.
func (c *Console) Send(_ context.Context, s SMS) (Class, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Fprintf(c.out, "SMS to %s: %s\n", s.To.E164(), s.Body); err != nil {
		return Refused, fmt.Errorf("console: %w", err)
	}
	return Accepted, nil
}

// File appends each message to a file as one JSON line {"to","body","code","at"}: for tests and
// demonstrations; refused in production.
type File struct {
	mu   sync.Mutex
	path string
	now  func() time.Time
}

var _ Sender = (*File)(nil)

// NewFile makes one. The file is created, readable by its owner only, with the first message.
func NewFile(path string, now func() time.Time) *File { return &File{path: path, now: now} }

// Send appends one line.
func (f *File) Send(_ context.Context, s SMS) (Class, error) {
	line, err := json.Marshal(struct {
		To   string `json:"to"`
		Body string `json:"body"`
		Code string `json:"code"`
		At   string `json:"at"`
	}{s.To.E164(), s.Body, s.Code, f.now().UTC().Format("2006-01-02T15:04:05.000Z")})
	if err != nil {
		return Refused, fmt.Errorf("sms file: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return Refused, fmt.Errorf("sms file: %w", err)
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		_ = file.Close()
		return Refused, fmt.Errorf("sms file: %w", err)
	}
	if err := file.Close(); err != nil {
		return Undecided, fmt.Errorf("sms file: %w", err)
	}
	return Accepted, nil
}

// Both sends by each in turn; the first one's answer counts unless it accepts and a later one does not.
type Both []Sender

var _ Sender = Both(nil)

// Send sends by each.
func (b Both) Send(ctx context.Context, s SMS) (Class, error) {
	for _, sender := range b {
		if class, err := sender.Send(ctx, s); class != Accepted {
			return class, err
		}
	}
	return Accepted, nil
}
