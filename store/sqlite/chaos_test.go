package sqlite_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"weelo/internal/ledger"
	"weelo/store/chaostest"
	"weelo/store/sqlite"
)

// An embedded store dies with its process. So these tests keep it in a child: this test binary,
// started again, that answers calls as lines of JSON until it is killed.

const childFile, childVariant = "WEELO_SQLITE_CHILD", "WEELO_SQLITE_VARIANT"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		serveChild(path, os.Getenv(childVariant))
		return
	}
	os.Exit(m.Run())
}

// ask is one call to the child, and answer what it says.
type ask struct {
	ID     int64
	Commit []ledger.Transition `json:",omitempty"`
	Join   []ledger.Transition `json:",omitempty"`
	Live   bool                `json:",omitempty"`
	Place  *ledger.Ref         `json:",omitempty"`
	Claim  *ledger.Ref         `json:",omitempty"`
	Read   string              `json:",omitempty"`
	Events *ledger.Ref         `json:",omitempty"`
	Inbox  string              `json:",omitempty"`
	Timers *time.Time          `json:",omitempty"`
}

type answer struct {
	ID       int64
	Error    string
	Outcomes []ledger.Outcome // without Err
	Claimed  ledger.Claimed
	Version  int64
	State    []byte
	Events   []ledger.Recorded
	Inbox    []ledger.InboxEntry
	Timers   []ledger.Timer
	Live     []chaostest.LiveTrip
	Place    ledger.Place
}

func serveChild(path, variant string) {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, path)
	if err == nil {
		_, err = db.Migrate(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	joint := sqlite.NewWriter(db, sqlite.Options{})
	var w ledger.Writer = joint
	switch variant {
	case "unindexed":
		_, err = db.Write.ExecContext(ctx, `DROP INDEX IF EXISTS one_live_trip_per_driver; DROP INDEX IF EXISTS one_live_trip_per_vehicle;
			DROP INDEX IF EXISTS one_live_trip_per_slot`)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "version", "epoch":
		w = sqlite.NewWriterWithout(db, sqlite.Options{}, variant)
	case "early":
		w = chaostest.NewEarlyAck(w)
	}
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var q ask
		if err := in.Decode(&q); err != nil {
			return // the parent has gone
		}
		go func() {
			a := serveAsk(ctx, db, w, joint, q)
			mu.Lock()
			defer mu.Unlock()
			_ = out.Encode(a)
		}()
	}
}

func serveAsk(ctx context.Context, db *sqlite.DB, w ledger.Writer, joint ledger.JointWriter, q ask) answer {
	a := answer{ID: q.ID}
	var err error
	switch {
	case q.Commit != nil:
		a.Outcomes = w.Commit(ctx, q.Commit)
		for i := range a.Outcomes {
			a.Outcomes[i].Err = nil
		}
	case q.Join != nil:
		a.Outcomes = joint.CommitTogether(ctx, q.Join)
		for i := range a.Outcomes {
			a.Outcomes[i].Err = nil
		}
	case q.Live:
		a.Live, err = liveTrips(ctx, db)
	case q.Place != nil:
		table := map[ledger.Kind]string{ledger.Order: "customer_order", ledger.Trip: "trip"}[q.Place.Kind]
		err = db.Read.QueryRowContext(ctx, `SELECT version, owner_epoch FROM `+table+` WHERE id = ?`, q.Place.ID).Scan(&a.Place.Version, &a.Place.Epoch)
	case q.Claim != nil:
		a.Claimed, err = sqlite.NewClaimer(db).Claim(ctx, *q.Claim, "n")
	case q.Read != "":
		err = db.Read.QueryRowContext(ctx, `SELECT version, state FROM trip WHERE id = ?`, q.Read).Scan(&a.Version, &a.State)
	case q.Events != nil:
		a.Events, err = sqlite.NewHistory(db).Events(ctx, *q.Events, 0, 1<<20)
	case q.Inbox != "":
		a.Inbox, err = sqlite.NewInbox(db).Read(ctx, q.Inbox, 0, 1<<20)
	case q.Timers != nil:
		a.Timers, err = sqlite.NewTimers(db).Overdue(ctx, *q.Timers, ledger.Timer{}, 100)
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

func liveTrips(ctx context.Context, db *sqlite.DB) ([]chaostest.LiveTrip, error) {
	rows, err := db.Read.QueryContext(ctx, `SELECT id, driver_id, vehicle_id, order_id, slot FROM trip WHERE live`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var live []chaostest.LiveTrip
	for rows.Next() {
		var l chaostest.LiveTrip
		if err := rows.Scan(&l.ID, &l.Driver, &l.Vehicle, &l.Order, &l.Slot); err != nil {
			return nil, err
		}
		live = append(live, l)
	}
	return live, rows.Err()
}

// child is the parent's end.
type child struct {
	path, variant string

	mu      sync.Mutex
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *json.Encoder
	next    int64
	life    int                   // counts incarnations
	waiting map[int64]chan answer // of this incarnation; nil while it is down
}

var errGone = errors.New("the store's process is gone")

func startChild(t *testing.T, variant string) *child {
	t.Helper()
	c := &child{path: filepath.Join(t.TempDir(), "weelo.db"), variant: variant}
	c.start(t)
	t.Cleanup(c.kill)
	return c
}

func (c *child) start(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Error(err)
		return
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childFile+"="+c.path, childVariant+"="+c.variant)
	cmd.Stderr = os.Stderr
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		t.Error(err)
		return
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	waiting := make(map[int64]chan answer)
	c.mu.Lock()
	c.life++
	c.cmd, c.in, c.out, c.waiting = cmd, in, json.NewEncoder(in), waiting
	go c.listen(json.NewDecoder(bufio.NewReader(out)), waiting, c.life)
	c.mu.Unlock()
}

// listen hands answers out until the process is gone; then nobody gets one.
func (c *child) listen(in *json.Decoder, waiting map[int64]chan answer, life int) {
	for {
		var a answer
		err := in.Decode(&a)
		c.mu.Lock()
		if err != nil {
			for _, w := range waiting {
				close(w)
			}
			clear(waiting)
			if c.life == life { // the next one may be up by now
				c.waiting = nil
			}
			c.mu.Unlock()
			return
		}
		waiting[a.ID] <- a
		delete(waiting, a.ID)
		c.mu.Unlock()
	}
}

func (c *child) kill() {
	c.mu.Lock()
	cmd := c.cmd
	c.waiting = nil
	c.mu.Unlock()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// call asks the child. sent tells whether the question may have reached it.
func (c *child) call(q ask) (a answer, sent bool, err error) {
	reply := make(chan answer, 1)
	c.mu.Lock()
	if c.waiting == nil {
		c.mu.Unlock()
		return a, false, errGone
	}
	c.next++
	q.ID = c.next
	c.waiting[q.ID] = reply
	err = c.out.Encode(q)
	c.mu.Unlock()
	if err != nil {
		return a, true, err
	}
	a, ok := <-reply
	if !ok {
		return a, true, errGone
	}
	if a.Error != "" {
		return a, true, errors.New(a.Error)
	}
	return a, true, nil
}

// Commit implements ledger.Writer: an answer that never came is an unknown outcome.
func (c *child) Commit(_ context.Context, ts []ledger.Transition) []ledger.Outcome {
	return c.write(ask{Commit: ts}, ts)
}

// CommitTogether implements ledger.JointWriter in the same way.
func (c *child) CommitTogether(_ context.Context, ts []ledger.Transition) []ledger.Outcome {
	return c.write(ask{Join: ts}, ts)
}

func (c *child) write(q ask, ts []ledger.Transition) []ledger.Outcome {
	a, sent, err := c.call(q)
	if err == nil {
		return a.Outcomes
	}
	outcomes := make([]ledger.Outcome, len(ts))
	for i := range outcomes {
		outcomes[i] = ledger.Outcome{Status: ledger.Unknown, Err: err}
		if !sent {
			outcomes[i].Status = ledger.Failed
		}
	}
	return outcomes
}

func (c *child) Claim(_ context.Context, ref ledger.Ref, _ string) (ledger.Claimed, error) {
	a, _, err := c.call(ask{Claim: &ref})
	return a.Claimed, err
}

func (c *child) Events(_ context.Context, ref ledger.Ref, _ int64, _ int) ([]ledger.Recorded, error) {
	a, _, err := c.call(ask{Events: &ref})
	return a.Events, err
}

func (c *child) Overdue(_ context.Context, before time.Time, _ ledger.Timer, _ int) ([]ledger.Timer, error) {
	a, _, err := c.call(ask{Timers: &before})
	return a.Timers, err
}

// childInbox reads inboxes; stream and head are not part of these experiments.
type childInbox struct {
	ledger.Inbox
	*child
}

func (c childInbox) Read(_ context.Context, recipient string, _ int64, _ int) ([]ledger.InboxEntry, error) {
	a, _, err := c.call(ask{Inbox: recipient})
	return a.Inbox, err
}

func killable(t *testing.T, variant string) (chaostest.Backend, *child) {
	t.Helper()
	c := startChild(t, variant)
	return chaostest.Backend{
		Writer: c, Joint: c, Claimer: c, History: c, Inbox: childInbox{child: c},
		Live: func(context.Context) ([]chaostest.LiveTrip, error) {
			a, _, err := c.call(ask{Live: true})
			return a.Live, err
		},
		Place: func(_ context.Context, ref ledger.Ref) (ledger.Place, error) {
			a, _, err := c.call(ask{Place: &ref})
			return a.Place, err
		},
		Read: func(_ context.Context, id string) (int64, []byte, error) {
			a, _, err := c.call(ask{Read: id})
			return a.Version, a.State, err
		},
		Kill: func() {
			c.kill()
			c.start(t)
		},
	}, c
}

func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	b, _ := killable(t, "")
	loss := chaostest.KillUnderLoad(t, b, 3)
	t.Log(loss)
	if loss.Acked == 0 || loss.Lost != 0 || loss.Partial != 0 || loss.Gaps != 0 {
		t.Errorf("%v", loss)
	}
}

// TestCheckerSeesEarlyAnswers is the control: a writer that answers before COMMIT.
func TestCheckerSeesEarlyAnswers(t *testing.T) {
	t.Parallel()
	b, _ := killable(t, "early")
	loss := chaostest.KillUnderLoad(t, b, 3)
	t.Log(loss)
	if loss.Lost == 0 {
		t.Errorf("a writer that answers early lost nothing, so the checker proves nothing: %v", loss)
	}
}

func TestVersionedRowIsARegister(t *testing.T) {
	t.Parallel()
	b, _ := killable(t, "")
	history := chaostest.Registers(t, b, 2)
	result := chaostest.CheckRegister(history)
	t.Logf("%d operations, %d of unknown outcome: %v", len(history), chaostest.Unknowns(history), result)
	if result != porcupine.Ok {
		t.Errorf("no order of single steps explains the history: %v", result)
	}
}

// TestCheckerSeesLostUpdates is the control: a writer that does not compare versions.
func TestCheckerSeesLostUpdates(t *testing.T) {
	t.Parallel()
	b, _ := killable(t, "version")
	history := chaostest.Registers(t, b, 0)
	if result := chaostest.CheckRegister(history); result != porcupine.Illegal {
		t.Errorf("updates were lost and the checker says %v", result)
	}
}

// TestOneLiveTripEach: driver, vehicle and slot are on one live trip at most, whoever gives birth to trips
// and ends them, through kills; and what is one transaction is there as a whole or not at all.
//
// Invariants: 8, 9, 10.
func TestOneLiveTripEach(t *testing.T) {
	t.Parallel()
	b, _ := killable(t, "")
	history, joined := chaostest.Slots(t, b, 3)
	result := chaostest.CheckSlots(history)
	t.Logf("%d operations, %d of unknown outcome: %v. Joint transactions: %v", len(history), chaostest.UnknownMoves(history), result, joined)
	if result != porcupine.Ok {
		t.Errorf("no order of single births and ends explains the history: %v", result)
	}
	if joined.Committed == 0 || joined.Refused == 0 || joined.Partial != 0 || joined.Wrong != 0 {
		t.Errorf("joint transactions: %v", joined)
	}
}

// TestCheckerSeesDoubleTrips is the control: the same load without the unique indexes.
func TestCheckerSeesDoubleTrips(t *testing.T) {
	t.Parallel()
	b, _ := killable(t, "unindexed")
	history, _ := chaostest.Slots(t, b, 0)
	if result := chaostest.CheckSlots(history); result != porcupine.Illegal {
		t.Errorf("without the indexes the checker says %v", result)
	}
}

// TestCheckerSeesPartialTransactions is the control: what belongs together is committed one by one.
func TestCheckerSeesPartialTransactions(t *testing.T) {
	t.Parallel()
	b, c := killable(t, "")
	b.Joint = chaostest.Apart{Writer: c}
	if _, joined := chaostest.Slots(t, b, 0); joined.Partial == 0 {
		t.Errorf("apart, and none was partial: %v", joined)
	}
}

func TestTimersSurviveKills(t *testing.T) {
	t.Parallel()
	b, c := killable(t, "")
	chaostest.TimersSurvive(t, b, c)
}
