package push_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/notify"
	"weelo/internal/nudge"
	"weelo/internal/push"
	"weelo/internal/session"
	"weelo/store/sqlite"
)

// outage is a provider that is down for some calls; every call is told on asked.
type outage struct {
	mu    sync.Mutex
	down  int
	taken map[string]int // by message
	asked chan string
}

func (o *outage) Send(_ context.Context, m push.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := m.Data["tripId"]
	defer func() { o.asked <- id }()
	if o.down > 0 {
		o.down--
		return push.ErrTemporary
	}
	o.taken[id]++
	return nil
}

// TestFromCommitToPhone: what a transition has written reaches the phone once although the provider was
// down at first; what was written by a transition that did not commit, or is past its deadline, never
// does.
func TestFromCommitToPhone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "push.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	writer := sqlite.NewWriter(db, sqlite.Options{})
	defer func() { _ = writer.Close(context.Background()) }()
	driver := fleet.User{ID: "d0000000-0000-4000-8000-000000000001", Phone: "+919000000001", Role: fleet.Transporter, KYC: fleet.KYCNotStarted, CreatedAt: noon, UpdatedAt: noon}
	if _, _, err := sqlite.NewUsers(db).Enrol(ctx, driver); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.NewSessions(db).Open(ctx, session.Family{ID: "s1", User: driver.ID, Role: driver.Role, CreatedAt: noon, UsedAt: noon, EndsAt: noon.Add(24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	phones := sqlite.NewPhones(db)
	if err := phones.Register(ctx, push.Phone{Token: "token-1", User: driver.ID, Session: "s1", At: noon}); err != nil {
		t.Fatal(err)
	}
	commit := func(n int, version int64, deadline time.Time) ledger.Status {
		id := fmt.Sprintf("70000000-0000-4000-8000-%012d", n)
		body, err := json.Marshal(map[string]any{"id": id, "status": "pending", "live": false, "driverId": id, "vehicleId": id, "transporterId": id})
		if err != nil {
			t.Fatal(err)
		}
		m := nudge.Push{Type: "trip_assigned", Title: "New trip", Body: "A to B", Data: map[string]string{"tripId": id}}.Message("m"+id, driver.ID, deadline)
		return writer.Commit(ctx, []ledger.Transition{{
			Ref: ledger.Ref{Kind: ledger.Trip, ID: id}, Version: version, State: body, Contended: version == 0, At: noon, Outbox: []ledger.Message{m},
			Events: []ledger.Event{{ID: "e" + id, Type: "trip_assigned", PayloadVersion: 1, At: noon, TripID: id, Data: json.RawMessage(`{}`)}},
		}})[0].Status
	}
	if got := []ledger.Status{commit(1, 0, noon.Add(time.Hour)), commit(2, 0, noon), commit(3, 7, noon.Add(time.Hour))}; got[0] != ledger.Committed || got[1] != ledger.Committed || got[2] != ledger.Missing {
		t.Fatalf("commits: %v", got)
	}

	var mu sync.Mutex
	now := noon
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	sender := &outage{down: 2, taken: map[string]int{}, asked: make(chan string, 16)}
	delivery := push.NewDelivery(phones, sender, clock, slog.New(slog.DiscardHandler), nil)
	courier := &notify.Courier{
		Outbox: sqlite.NewOutbox(db), Channel: nudge.PushChannel, Deliver: delivery.Deliver, Now: clock, Log: slog.New(slog.DiscardHandler),
	}
	running, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { _ = courier.Run(running) })
	for asked, waited := 0, 0; asked < 3; {
		select {
		case <-sender.asked:
			asked++
		case <-time.After(50 * time.Millisecond):
			mu.Lock()
			now = now.Add(time.Second) // what was given back becomes due
			mu.Unlock()
			if waited++; waited > 400 {
				t.Fatal("the provider was not asked again")
			}
		}
	}
	if err := writer.Close(ctx); err != nil {
		t.Fatal(err)
	}
	stop() // what was under way is finished
	all.Wait()
	left, err := sqlite.NewOutbox(db).Take(ctx, []string{nudge.PushChannel}, noon.Add(59*time.Minute), time.Second, 10)
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if len(sender.taken) != 1 || sender.taken["70000000-0000-4000-8000-000000000001"] != 1 {
		t.Errorf("taken %v", sender.taken)
	}
}
