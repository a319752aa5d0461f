package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The files of a dev folder.
const (
	databaseFile = "weelo.db"
	secretsFile  = "secrets.json"
	demoFile     = "demo.json"
	smsFile      = "sms.jsonl"
	lockFile     = "lock"
)

// folder is where weelo dev keeps everything, held by one process at a time.
type folder struct {
	dir  string
	lock *os.File
}

// openFolder makes the folder when it is not there and takes its lock. The lock is the kernel's, so
// that it ends with the process, however that ends.
func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the folder is the user's choice
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := make([]byte, 16)
		n, _ := f.ReadAt(holder, 0)
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another weelo dev (process %s) uses %s; stop it, or choose another folder with --dir", strings.TrimSpace(string(holder[:n])), dir)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	return &folder{dir: dir, lock: f}, nil
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) close() error { return f.lock.Close() }

// devSecrets are the keys of one dev folder, made once.
type devSecrets struct {
	JWT     []byte `json:"jwt"`
	Refresh []byte `json:"refresh"`
	Pepper  []byte `json:"pepper"`
}

// secrets reads the folder's keys and makes them the first time. The file is for its owner only.
func (f *folder) secrets() (devSecrets, error) {
	var s devSecrets
	path := f.path(secretsFile)
	text, err := os.ReadFile(path) //nolint:gosec // our own file
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &s); err != nil {
			return s, fmt.Errorf("%s: %w", path, err)
		}
		if len(s.JWT) < 32 || len(s.Refresh) < 32 || len(s.Pepper) < 32 {
			return s, fmt.Errorf("%s is incomplete; remove it to get new keys (everybody must log in again)", path)
		}
		return s, nil
	case !errors.Is(err, os.ErrNotExist):
		return s, err
	}
	for _, key := range []*[]byte{&s.JWT, &s.Refresh, &s.Pepper} {
		*key = make([]byte, 48)
		if _, err := rand.Read(*key); err != nil {
			return s, err
		}
	}
	return s, writeWhole(path, s, 0o600)
}

// writeWhole replaces a JSON file at once: a reader sees the old or the new one, never a part.
func writeWhole(path string, value any, mode os.FileMode) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, append(text, '\n'), mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// absolute is a file's path for scripts that run elsewhere.
func (f *folder) absolute(name string) string {
	path, err := filepath.Abs(f.path(name))
	if err != nil {
		return f.path(name)
	}
	return path
}
