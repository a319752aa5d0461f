package security

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"weelo/internal/servertest"
)

// house is a running installation as its owner knows it: its address, its keys, its SMS.
type house struct {
	name    string
	args    []string
	environ []string
	base    string // http://127.0.0.1:PORT
	admin   string // of the pages that only the machine itself reaches
	dir     string // of dev; "" on serve
	redis   string // "" on dev, which keeps its codes in memory
	sms     *sink
	said    *servertest.Transcript                     // both outputs
	keys    struct{ access, refresh, previous []byte } // previous: another access key that is accepted; nil on dev
	opsUser string                                     // a phone that may log in as ops
}

// The one web page of serve that may connect.
const pageOrigin = "https://app.weelo.example"

func environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "PORT=0", "ADMIN_ADDR=127.0.0.1:0", "TRUSTED_HOPS=1"}, more...)
}

func onDev(t testing.TB, more ...string) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{name: "dev", dir: dir, args: []string{"dev", "--no-simulation", "--dir", dir}, opsUser: newPhone(), sms: newSink(filepath.Join(dir, "sms.jsonl"))}
	h.environ = environment(append([]string{"OPS_PHONES=" + h.opsUser}, more...)...)
	h.begin(t)
	text, err := os.ReadFile(filepath.Join(dir, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	var secrets struct{ JWT, Refresh string }
	if err := json.Unmarshal(text, &secrets); err != nil {
		t.Fatal(err)
	}
	for secret, key := range map[string]*[]byte{secrets.JWT: &h.keys.access, secrets.Refresh: &h.keys.refresh} {
		if *key, err = base64.StdEncoding.DecodeString(secret); err != nil || len(*key) < 32 {
			t.Fatalf("a key of %d bytes: %v", len(*key), err)
		}
	}
	return h
}

func onServe(t testing.TB, more ...string) *house {
	t.Helper()
	return serveOn(t, servertest.Database(t), servertest.Redis(t), more...)
}

// serveOn starts a serve on these.
func serveOn(t testing.TB, database, redisURL string, more ...string) *house {
	t.Helper()
	sms := filepath.Join(t.TempDir(), "sms.jsonl")
	h := &house{name: "serve", args: []string{"serve"}, redis: redisURL, opsUser: newPhone(), sms: newSink(sms)}
	h.keys.access, h.keys.refresh = []byte("kJ8vQm2ZrT5xW9bN4cL7pD1fG6hS3yUa0eRi"), []byte("Zp4Xc7Vb1Nm8Lk5Jh2Gf9Ds6Aq3We0Rt7YuI")
	h.keys.previous = []byte("Lw9Tn3Hs6Bq1Xd8Fk5Mv0Rz7Gc4Yp2JaQe")
	h.environ = environment(append([]string{
		"DATABASE_URL=" + database, "REDIS_URL=" + redisURL, "JWT_SECRET=" + string(h.keys.access), "JWT_REFRESH_SECRET=" + string(h.keys.refresh),
		"JWT_SECRET_PREVIOUS=" + string(h.keys.previous),
		"SMS_PROVIDER=file:" + sms, "OPS_PHONES=" + h.opsUser, "PUBLIC_HOSTS=127.0.0.1,localhost", "ALLOWED_ORIGINS=" + pageOrigin,
	}, more...)...)
	h.begin(t)
	return h
}

// redisKeys are the keys with a text in their name; none on dev.
func (h *house) redisKeys(t testing.TB, text string) (found []string) {
	t.Helper()
	if h.redis == "" {
		return nil
	}
	o, err := redis.ParseURL(h.redis)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer c.Close()
	keys := c.Scan(t.Context(), 0, "*", 1000).Iterator()
	for keys.Next(t.Context()) {
		if strings.Contains(keys.Val(), text) {
			found = append(found, keys.Val())
		}
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// check is one of the thirty. name begins with its number.
type check struct {
	name string
	run  func(t *testing.T, h *house)
}

// onBoth runs checks on a dev and on a serve, each with what more its environment says.
func onBoth(t *testing.T, checks []check, more ...string) {
	t.Helper()
	for name, start := range map[string]func(testing.TB, ...string) *house{"dev": onDev, "serve": onServe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, more...)
			for _, c := range checks {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(t, h)
				})
			}
		})
	}
}
