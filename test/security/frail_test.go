package security

import (
	"context"
	"database/sql"
	"net/http"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver that dev's database is held fast with

	"weelo/internal/servertest"
)

// TestTwoTasks: what is ended on one task is over on the other, also without what is fast.
func TestTwoTasks(t *testing.T) {
	t.Parallel()
	t.Run("serve", func(t *testing.T) {
		t.Parallel()
		database, redis := servertest.Database(t), servertest.PrivateRedis(t)
		one, other := serveOn(t, database, redis.URL()), serveOn(t, database, redis.URL())
		t.Run("P20_LogoutReachesTheOtherTask", func(t *testing.T) { logoutReachesTheOtherTask(t, one, other, redis) })
	})
}

func logoutReachesTheOtherTask(t *testing.T, one, other *house, redis *servertest.RedisServer) {
	fast, slow := one.customer(t), one.customer(t)
	s := fast.at(other).connect()
	s.alive()
	fast.post("auth/logout", nil).ok()
	s.closed(4401, 2*time.Second)
	fast.at(other).me().refused(401)

	s = slow.at(other).connect()
	s.alive()
	slow.at(other).me().ok()
	redis.Kill(t)
	begun := time.Now()
	slow.post("auth/logout", nil).ok()
	s.closed(4401, 15*time.Second-time.Since(begun))
	eventually(t, 15*time.Second-time.Since(begun), "the access token is refused by the other task", func() bool { return slow.at(other).me().status == 401 })
	slow.at(other).renew(slow.refresh).refused(401)
}

// TestRecheck: a session whose end reaches nobody, because it is written with a time that nobody reads back to any
// more, is over all the same: each task asks the database about everybody who holds a socket there.
func TestRecheck(t *testing.T) {
	t.Parallel()
	t.Run("serve", func(t *testing.T) {
		t.Parallel()
		database := servertest.Database(t)
		h := serveOn(t, database, servertest.Redis(t))
		t.Run("P20_AnEndThatNobodyIsToldOf", func(t *testing.T) { anEndThatNobodyIsToldOf(t, h, database) })
	})
}

func anEndThatNobodyIsToldOf(t *testing.T, h *house, database string) {
	over, stays := h.customer(t), h.customer(t)
	s, other := over.connect(), stays.connect()
	s.alive()
	other.alive()
	sid, ok := forge(t, over.token, nil).claims["sid"].(string)
	if !ok {
		t.Fatal("an access token of no session")
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	db, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(ctx) }()
	begun := time.Now()
	done, err := db.Exec(ctx, `UPDATE session_family SET revoked_at = now() - interval '1 hour', revoked_why = 'logout' WHERE id = $1 AND revoked_at IS NULL`, sid)
	if err != nil || done.RowsAffected() != 1 {
		t.Fatalf("%d sessions ended: %v", done.RowsAffected(), err)
	}
	over.renew(over.refresh).refused(401) // asks the database itself
	s.closed(4401, 15*time.Second-time.Since(begun))
	eventually(t, 15*time.Second-time.Since(begun), "the access token is refused", func() bool { return over.me().status == 401 })
	over.renew(over.refresh).refused(401)
	if by := regexp.MustCompile(`a session that is over held a socket[^\n]*` + sid); !by.MatchString(h.said.String()) {
		t.Error("something else than the re-check has ended it")
	}
	other.alive()
	stays.me().ok()
	stays.renew(stays.refresh).ok()
}

// TestTheSameBodyAfterAFailure: the apps send the same body again after a 5xx. Here it is a real one: the
// database answers nobody.
func TestTheSameBodyAfterAFailure(t *testing.T) {
	t.Parallel()
	t.Run("dev", func(t *testing.T) {
		t.Parallel()
		h := onDev(t)
		theSameBodyAfterAFailure(t, h, func() (release func()) { return hold(t, filepath.Join(h.dir, "weelo.db")) })
	})
	t.Run("serve", func(t *testing.T) {
		t.Parallel()
		postgres := servertest.PrivatePostgres(t)
		h := serveOn(t, postgres.Database(t), servertest.Redis(t))
		theSameBodyAfterAFailure(t, h, func() (release func()) {
			postgres.Pause(t)
			return func() { postgres.Resume(t) }
		})
	})
}

// hold takes the one place of SQLite's writer.
func hold(t *testing.T, path string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatalf("hold the database: %v", err)
	}
	return func() {
		if _, err := db.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Errorf("ROLLBACK: %v", err)
		}
	}
}

func theSameBodyAfterAFailure(t *testing.T, h *house, stall func() (release func())) {
	t.Helper()
	coming, staying, booking := h.stranger(t), h.customer(t), h.customer(t)
	phone := newPhone()
	coming.post("auth/send-otp", asking(phone, "customer")).ok()
	order := object{
		"pickup": object{"latitude": 12.9716, "longitude": 77.5946, "address": "Yard A", "city": "Bengaluru"},
		"drop":   object{"latitude": 12.2958, "longitude": 76.6394, "address": "Dock B", "city": "Mysuru"}, "distanceKm": 145,
		"vehicleRequirements": []object{{"vehicleType": "open", "vehicleSubtype": "17 Feet", "quantity": 1, "pricePerTruck": 9000}}, "goodsType": "General",
	}
	login := submitting(phone, "customer", h.sms.next(t, phone).Code)
	calls := []struct {
		name   string
		call   func() answer
		result []string // where the answer names what there must be one of
	}{
		{"login", func() answer { return coming.post("auth/verify-otp", login) }, []string{"tokens", "refreshToken"}},
		{"refresh", func() answer { return staying.renew(staying.refresh) }, []string{"refreshToken"}},
		{"order", func() answer { return booking.post("bookings/orders", order, "X-Idempotency-Key", "once") }, []string{"order", "id"}},
	}

	release := stall()
	var waiting sync.WaitGroup
	for _, c := range calls {
		waiting.Go(func() {
			if a := c.call(); a.status < 500 || a.content.Success {
				t.Errorf("%s without a database: %d %s", c.name, a.status, a.body)
			}
		})
	}
	waiting.Wait()
	release()

	for _, c := range calls {
		var first answer
		eventually(t, 25*time.Second, c.name+" again", func() bool {
			first = c.call()
			if first.status < 500 && first.status > 299 {
				t.Fatalf("%s again: %d %s", c.name, first.status, first.body)
			}
			return first.status < 300
		})
		for range 2 {
			if again := c.call().ok(); again.text(c.result...) != first.text(c.result...) {
				t.Errorf("%s: the same body gave a second one: %s and %s", c.name, first.body, again.body)
			}
		}
		if c.name != "login" {
			continue
		}
		coming.with(first.text("tokens", "accessToken")).me().ok()
		h.stranger(t).post("auth/verify-otp", login).refused(400)
		ops := h.login(t, h.opsUser, "ops")
		var sessions struct{ Sessions []object }
		ops.get("admin/users/"+first.text("user", "id")+"/sessions", "X-Reason", "his phone was stolen").ok().data(&sessions)
		if len(sessions.Sessions) != 1 {
			t.Errorf("one login made %d sessions: %v", len(sessions.Sessions), sessions.Sessions)
		}
	}
	var orders struct{ Orders []object }
	booking.ask(http.MethodGet, "/api/v1/bookings/orders", nil).ok().data(&orders)
	if len(orders.Orders) != 1 {
		t.Errorf("one booking made %d orders: %v", len(orders.Orders), orders.Orders)
	}
}
