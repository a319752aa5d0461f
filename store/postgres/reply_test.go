package postgres_test

import (
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"weelo/internal/ledger"
	"weelo/internal/servertest"
	"weelo/store/chaostest"
	"weelo/store/postgres"
)

// cutter is a proxy before Postgres that can cut a connection at a chosen moment of a commit.
type cutter struct {
	listener net.Listener
	server   string
	mode     atomic.Int32
	every    atomic.Int32 // with loseReply: only every n-th; 0: each
	commits  atomic.Int32
	cuts     atomic.Int32
	links    sync.WaitGroup
}

const (
	passAll int32 = iota
	// loseReply: COMMIT reaches the server and is done; its answer never comes back.
	loseReply
	// loseCommit: the round trip that holds COMMIT never reaches the server.
	loseCommit
)

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, server: server}
	go c.accept()
	t.Cleanup(func() {
		_ = l.Close()
		c.links.Wait()
	})
	return c
}

func (c *cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		link := &link{cutter: c, client: client, server: server}
		c.links.Go(func() { link.copy(server, client, link.fromClient) })
		c.links.Go(func() { link.copy(client, server, link.fromServer) })
	}
}

// link is one proxied connection.
type link struct {
	*cutter
	client, server net.Conn
	inTransaction  atomic.Bool
	last           []byte // the end of what the server sent before: a tag may be split
}

func (l *link) copy(to, from net.Conn, inspect func([]byte) (cut bool)) {
	defer l.client.Close()
	defer l.server.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if inspect(buf[:n]) {
				l.cuts.Add(1)
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (l *link) fromClient([]byte) bool {
	return l.mode.Load() == loseCommit && l.inTransaction.Load()
}

// fromServer looks for the command tags of the server's answers.
func (l *link) fromServer(p []byte) bool {
	seen := append(l.last, p...)
	l.last = bytes.Clone(seen[max(0, len(seen)-16):])
	if bytes.Contains(seen, []byte("BEGIN\x00")) {
		l.inTransaction.Store(true)
	}
	if !bytes.Contains(seen, []byte("COMMIT\x00")) {
		return false
	}
	l.inTransaction.Store(false)
	l.last = nil
	every := max(1, l.every.Load())
	return l.mode.Load() == loseReply && l.commits.Add(1)%every == 0
}

// lostReply is a ledger behind a cutter and a command that is about to be lost.
type lostReply struct {
	cutter  *cutter
	db      *postgres.DB
	w       postgres.Writer
	claimer postgres.Claimer
	ref     ledger.Ref
	claimed ledger.Claimed
}

func newLostReply(t *testing.T) *lostReply {
	t.Helper()
	server := servertest.Postgres(t)
	l := &lostReply{cutter: newCutter(t, server.Addr())}
	url := strings.Replace(server.Database(t), server.Addr(), l.cutter.listener.Addr().String(), 1)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	l.db, l.w, l.claimer = db, full(db), postgres.NewClaimer(db)
	l.ref = bornTrip(t, l.w)
	l.reload(t)
	return l
}

// reload is what an actor does whose outcome was unknown: it stops, and the next activation claims.
func (l *lostReply) reload(t *testing.T) {
	t.Helper()
	claimed, err := l.claimer.Claim(t.Context(), l.ref, "n")
	if err != nil {
		t.Fatal(err)
	}
	l.claimed = claimed
}

// command is the client's command, decided on what is loaded; without its key when key is "".
func (l *lostReply) command(key, reply string) ledger.Transition {
	tr := transition(l.ref, l.claimed.Version, l.claimed.Epoch)
	if key != "" {
		tr.Idem = &ledger.Idem{Scope: "user", Key: key, Hash: "h", Reply: json.RawMessage(reply)}
	}
	return tr
}

func (l *lostReply) commit(t *testing.T, mode int32, tr ledger.Transition) ledger.Outcome {
	t.Helper()
	l.cutter.mode.Store(mode)
	defer l.cutter.mode.Store(passAll)
	before := l.cutter.cuts.Load()
	o := l.w.Commit(t.Context(), []ledger.Transition{tr})[0]
	if mode != passAll && l.cutter.cuts.Load() == before {
		t.Fatalf("no connection was cut; outcome %v (%v)", o.Status, o.Err)
	}
	return o
}

// effects counts how often the command was applied: its events beyond those of the birth.
func (l *lostReply) effects(t *testing.T) int {
	t.Helper()
	events, err := postgres.NewHistory(l.db).Events(t.Context(), l.ref, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	return len(events)
}

func TestLostReplyIsUnknownAndTheRetryMeetsTheTruth(t *testing.T) {
	t.Parallel()
	for _, contended := range []bool{false, true} {
		l := newLostReply(t)
		tr := l.command("key", `{"first":true}`)
		tr.Contended = contended
		if o := l.commit(t, loseReply, tr); o.Status != ledger.Unknown {
			t.Fatalf("the reply to COMMIT was lost, and the outcome is %v (%v)", o.Status, o.Err)
		}
		l.reload(t)
		if l.claimed.Version != 2 {
			t.Fatalf("version is %d: the proxy cut before the commit", l.claimed.Version)
		}
		o := l.commit(t, passAll, l.command("key", `{"second":true}`))
		if o.Status != ledger.Replayed || string(o.Reply) != `{"first":true}` {
			t.Errorf("the retry: %v %s (%v), want the first reply", o.Status, o.Reply, o.Err)
		}
		if n := l.effects(t); n != 1 {
			t.Errorf("one command had %d effects", n)
		}
	}
}

func TestLostCommitIsUnknownAndTheRetryIsCommitted(t *testing.T) {
	t.Parallel()
	l := newLostReply(t)
	if o := l.commit(t, loseCommit, l.command("key", `1`)); o.Status != ledger.Unknown {
		t.Fatalf("COMMIT was lost on its way, and the outcome is %v (%v)", o.Status, o.Err)
	}
	l.reload(t)
	if l.claimed.Version != 1 {
		t.Fatalf("version is %d: the proxy cut too late", l.claimed.Version)
	}
	if o := l.commit(t, passAll, l.command("key", `2`)); o.Status != ledger.Committed {
		t.Errorf("the retry: %v (%v)", o.Status, o.Err)
	}
	if n := l.effects(t); n != 1 {
		t.Errorf("one command had %d effects", n)
	}
}

// TestRetryWithoutKeyHasTwoEffects is the control: without its idempotency record the same retry is
// a second command, and the count of effects shows it.
func TestRetryWithoutKeyHasTwoEffects(t *testing.T) {
	t.Parallel()
	l := newLostReply(t)
	if o := l.commit(t, loseReply, l.command("", "")); o.Status != ledger.Unknown {
		t.Fatalf("outcome %v (%v)", o.Status, o.Err)
	}
	l.reload(t)
	if o := l.commit(t, passAll, l.command("", "")); o.Status != ledger.Committed {
		t.Fatalf("outcome %v (%v)", o.Status, o.Err)
	}
	if n := l.effects(t); n != 2 {
		t.Errorf("%d effects: the test cannot see a double effect", n)
	}
}

// TestLostReplyOfAJointTransaction: when the answer to its COMMIT, or COMMIT itself, is lost, all of it is
// unknown; all of it is there or nothing; and the retry with the key meets the truth.
func TestLostReplyOfAJointTransaction(t *testing.T) {
	t.Parallel()
	for mode, c := range map[int32]struct {
		version int64 // of the first row afterwards
		retry   ledger.Status
		other   ledger.Status // of the second one's retry
	}{
		loseReply:  {2, ledger.Replayed, ledger.Aborted},
		loseCommit: {1, ledger.Committed, ledger.Committed},
	} {
		l := newLostReply(t)
		birth := transition(ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}, 0, 0)
		l.cutter.mode.Store(mode)
		for _, o := range l.w.CommitTogether(t.Context(), []ledger.Transition{l.command("key", `1`), birth}) {
			if o.Status != ledger.Unknown {
				t.Errorf("mode %d: outcome %v (%v)", mode, o.Status, o.Err)
			}
		}
		l.cutter.mode.Store(passAll)
		if l.cutter.cuts.Load() == 0 {
			t.Fatal("no connection was cut")
		}
		l.reload(t)
		_, err := l.claimer.Claim(t.Context(), birth.Ref, "n")
		if there := err == nil; l.claimed.Version != c.version || there != (c.version == 2) {
			t.Errorf("mode %d: version %d, the birth is there: %v (%v)", mode, l.claimed.Version, there, err)
		}
		retry := l.w.CommitTogether(t.Context(), []ledger.Transition{l.command("key", `2`), transition(ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}, 0, 0)})
		if retry[0].Status != c.retry || retry[1].Status != c.other {
			t.Errorf("mode %d: the retry is %v and %v (%v)", mode, retry[0].Status, retry[1].Status, retry[0].Err)
		}
		if n := l.effects(t); n != 1 {
			t.Errorf("mode %d: one command had %d effects", mode, n)
		}
	}
}

// TestVersionedRowIsARegisterThroughLostReplies: every tenth reply to COMMIT is lost, so that many
// steps have happened of which nobody was told.
func TestVersionedRowIsARegisterThroughLostReplies(t *testing.T) {
	t.Parallel()
	l := newLostReply(t)
	l.cutter.every.Store(10)
	l.cutter.mode.Store(loseReply)
	backend := chaostest.Backend{Writer: l.w, Claimer: l.claimer, Read: readTrip(l.db)}
	history := chaostest.Registers(t, backend, 0)
	result, unknown := chaostest.CheckRegister(history), chaostest.Unknowns(history)
	t.Logf("%d operations, %d of unknown outcome: %v", len(history), unknown, result)
	if result != porcupine.Ok || unknown == 0 {
		t.Errorf("%v with %d unknown outcomes", result, unknown)
	}
}
