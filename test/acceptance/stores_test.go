package acceptance

import (
	"path/filepath"
	"testing"

	"weelo/internal/servertest"
)

// twoStores are a private database and Redis for one test.
type twoStores struct{ database, redis string }

func newStores(t testing.TB) twoStores {
	t.Helper()
	return twoStores{database: servertest.Database(t), redis: servertest.Redis(t)}
}

// serveEnvironment is a whole environment for serve. SMS go to a file beside the test.
func serveEnvironment(t testing.TB, st twoStores, more ...string) []string {
	t.Helper()
	return environment(append([]string{
		"DATABASE_URL=" + st.database, "REDIS_URL=" + st.redis,
		"JWT_SECRET=kJ8vQm2ZrT5xW9bN4cL7pD1fG6hS3yUa0eRi", "JWT_REFRESH_SECRET=Zp4Xc7Vb1Nm8Lk5Jh2Gf9Ds6Aq3We0Rt7YuI",
		"SMS_PROVIDER=file:" + filepath.Join(t.TempDir(), "sms.jsonl"),
	}, more...)...)
}
