package push

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// File appends each message to a file as one JSON line: for tests and demonstrations; refused in
// production.
type File struct {
	mu   sync.Mutex
	path string
	now  func() time.Time
}

var _ Sender = (*File)(nil)

// NewFile makes one. The file is created, readable by its owner only, with the first message.
func NewFile(path string, now func() time.Time) *File { return &File{path: path, now: now} }

// Line is one message in the file.
type Line struct {
	At       string            `json:"at"`
	Token    string            `json:"token"`
	Title    string            `json:"title"`
	Body     string            `json:"body"`
	Data     map[string]string `json:"data"`
	Channel  string            `json:"channel"`
	Priority string            `json:"priority"`
	Tag      string            `json:"tag,omitempty"`
	TTLMS    int64             `json:"ttlMs"`
}

// Send appends one line.
func (f *File) Send(_ context.Context, m Message) error {
	line := Line{
		At: f.now().UTC().Format("2006-01-02T15:04:05.000Z"), Token: m.Token, Title: m.Title, Body: m.Body, Data: m.Data,
		Channel: m.Channel, Priority: "normal", Tag: m.Tag, TTLMS: m.TTL.Milliseconds(),
	}
	if m.HighPriority {
		line.Priority = "high"
	}
	raw, err := json.Marshal(line)
	if err == nil {
		err = f.append(raw)
	}
	if err != nil {
		return fmt.Errorf("%w: file: %w", ErrTemporary, err)
	}
	return nil
}

func (f *File) append(line []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}
