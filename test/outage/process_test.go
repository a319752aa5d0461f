package outage

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weelo/internal/servertest"
)

// town is a Postgres, a Redis and a file of messages, and the servers of one test on them.
type town struct {
	postgres *servertest.PostgresServer
	redis    *servertest.RedisServer
	database string // URL
	cache    string // URL; another than the Redis's own where something stands between
	sms      string // file
}

func newTown(t testing.TB) *town {
	t.Helper()
	pg := servertest.PrivatePostgres(t)
	rd := servertest.PrivateRedis(t)
	return &town{postgres: pg, redis: rd, database: pg.Database(t), cache: rd.URL(), sms: filepath.Join(t.TempDir(), "sms.jsonl")}
}

// environ is a whole environment, and nothing of the machine's. What stands last wins.
func (w *town) environ(more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "PORT=0", "ADMIN_ADDR=127.0.0.1:0",
		"DATABASE_URL=" + w.database, "REDIS_URL=" + w.cache, "SMS_PROVIDER=file:" + w.sms, "TRUSTED_HOPS=1",
	}, append(signing(oldKeys, nil), more...)...)
}

// serve starts a server and waits until it serves. It is killed with the test.
func (w *town) serve(t testing.TB, more ...string) *servertest.Weelo {
	t.Helper()
	return servertest.Serve(t, w.environ(more...), "serve")
}

// message is one SMS.
type message struct{ To, Body, Code string }

// messages are the SMS to a phone, oldest first.
func (w *town) messages(t testing.TB, phone string) []message {
	t.Helper()
	text, err := os.ReadFile(w.sms)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var all []message
	for line := range strings.Lines(string(text)) {
		var m message
		if !strings.HasSuffix(line, "\n") || json.Unmarshal([]byte(line), &m) != nil {
			break // still being written
		}
		if m.To == "+91"+phone {
			all = append(all, m)
		}
	}
	return all
}

func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	servertest.Eventually(t, limit, what, ok)
}
