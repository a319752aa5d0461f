package chaostest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"weelo/internal/ledger"
)

// A trip's row seen as a register that is compared and set: porcupine searches for an order of single
// steps that explains what all clients saw at once.

// cas is one operation: a step decided on version From that stores Value, or a read (Value 0).
type cas struct {
	trip  int
	from  int64
	value int64
}

// seen is what the client saw.
type seen struct {
	status  ledger.Status // of a step
	version int64         // of a read
	value   int64
}

// register is the state of the model.
type register struct{ version, value int64 }

var casModel = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[int][]porcupine.Operation{}
		for _, op := range history {
			trip := op.Input.(cas).trip
			parts[trip] = append(parts[trip], op)
		}
		var all [][]porcupine.Operation
		for _, p := range parts {
			all = append(all, p)
		}
		return all
	},
	Init: func() []any { return []any{register{version: 1}} },
	Step: func(state, input, output any) []any {
		r, op, out := state.(register), input.(cas), output.(seen)
		written := register{version: r.version + 1, value: op.value}
		switch {
		case op.value == 0 && (register{out.version, out.value}) == r:
			return []any{r}
		case op.value == 0:
			return nil
		case out.status == ledger.Committed && op.from == r.version:
			return []any{written}
		case out.status == ledger.Moved && op.from != r.version:
			return []any{r}
		case out.status == ledger.Unknown && op.from == r.version:
			return []any{r, written} // happened, or did not
		case out.status == ledger.Unknown:
			return []any{r}
		default:
			return nil
		}
	},
	DescribeOperation: func(input, output any) string {
		op, out := input.(cas), output.(seen)
		if op.value == 0 {
			return fmt.Sprintf("read -> v%d=%d", out.version, out.value)
		}
		return fmt.Sprintf("v%d := %d -> %v", op.from, op.value, out.status)
	},
}

// CheckRegister judges a history. porcupine.Unknown (it took too long) counts as a failure.
func CheckRegister(history []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(casModel.ToModel(), history, limit)
}

const (
	registers    = 16
	casClients   = 8
	opsPerKill   = 200
	opsAfterKill = 150
)

// Registers runs clients that read and step a few trips at once, while the store is killed, and gives
// what each saw. Every client uses the same epoch, so that versions alone decide.
func Registers(t testing.TB, b Backend, kills int) []porcupine.Operation {
	t.Helper()
	ctx, cancel := within(t)
	defer cancel()
	run := &casRun{b: b, began: time.Now()}
	for range registers {
		ref := ledger.Ref{Kind: ledger.Trip, ID: uuid.NewString()}
		birth := ledger.Transition{Ref: ref, State: json.RawMessage(`{"value":0}`), At: time.Now()}
		switch o := b.Writer.Commit(ctx, []ledger.Transition{birth})[0]; o.Status {
		case ledger.Committed, ledger.Unknown: // the claim tells
		default:
			t.Fatalf("birth: %v (%v)", o.Status, o.Err)
		}
		if _, err := b.Claimer.Claim(ctx, ref, "all"); err != nil {
			t.Fatal(err)
		}
		run.trips = append(run.trips, ref)
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	for c := range casClients {
		clients.Go(func() { run.client(ctx, working, c) })
	}
	for k := range kills {
		run.await(t, ctx, int64((k+1)*opsPerKill))
		b.Kill()
	}
	run.await(t, ctx, int64(kills*opsPerKill+opsAfterKill))
	stop()
	clients.Wait()
	return run.history()
}

type casRun struct {
	b      Backend
	trips  []ledger.Ref
	began  time.Time
	values atomic.Int64
	done   atomic.Int64
	mu     sync.Mutex
	ops    []porcupine.Operation
}

func (r *casRun) await(t testing.TB, ctx context.Context, target int64) {
	t.Helper()
	err := eventually(ctx, func() error {
		if r.done.Load() < target {
			return errors.New("too few operations")
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%d of %d operations: %v", r.done.Load(), target, err)
	}
}

// client steps a random trip from the version it last saw, and reads when it lost.
func (r *casRun) client(ctx, working context.Context, id int) {
	random := rand.New(rand.NewPCG(1, uint64(id)))
	versions := make([]int64, len(r.trips))
	for working.Err() == nil {
		trip := random.IntN(len(r.trips))
		if versions[trip] == 0 || random.IntN(4) == 0 {
			if v, ok := r.read(ctx, id, trip); ok {
				versions[trip] = v
			}
			continue
		}
		switch r.step(ctx, id, trip, versions[trip]) {
		case ledger.Committed:
			versions[trip]++
		default:
			versions[trip] = 0
		}
	}
}

func (r *casRun) read(ctx context.Context, client, trip int) (version int64, ok bool) {
	op := porcupine.Operation{ClientId: client, Input: cas{trip: trip}, Call: int64(time.Since(r.began))}
	version, raw, err := r.b.Read(ctx, r.trips[trip].ID)
	if err != nil {
		return 0, false // a read that failed says nothing
	}
	var state struct {
		Value int64 `json:"value"`
	}
	if err := json.Unmarshal(raw, &state); err != nil {
		return 0, false
	}
	op.Output = seen{version: version, value: state.Value}
	r.record(op)
	return version, true
}

func (r *casRun) step(ctx context.Context, client, trip int, from int64) ledger.Status {
	value := r.values.Add(1)
	op := porcupine.Operation{ClientId: client, Input: cas{trip: trip, from: from, value: value}, Call: int64(time.Since(r.began))}
	o := r.b.Writer.Commit(ctx, []ledger.Transition{{
		Ref: r.trips[trip], Version: from, Epoch: 1, At: time.Now(), State: json.RawMessage(fmt.Sprintf(`{"value":%d}`, value)),
	}})[0]
	if o.Status == ledger.Failed {
		return o.Status // a definite no: nothing happened
	}
	op.Output = seen{status: o.Status}
	r.record(op)
	return o.Status
}

func (r *casRun) record(op porcupine.Operation) {
	op.Return = int64(time.Since(r.began))
	r.mu.Lock()
	r.ops = append(r.ops, op)
	r.mu.Unlock()
	r.done.Add(1)
}

// history ends every unknown step after everything else: it may take effect at any later time.
// porcupine wants one operation at a time of a client, so each gets a client of its own.
func (r *casRun) history() []porcupine.Operation {
	end := int64(time.Since(r.began)) + 1
	for i := range r.ops {
		if r.ops[i].Output.(seen).status == ledger.Unknown && r.ops[i].Input.(cas).value != 0 {
			r.ops[i].Return = end
			r.ops[i].ClientId = casClients + i
		}
	}
	return r.ops
}

// Unknowns counts the operations of a history whose outcome nobody knows.
func Unknowns(history []porcupine.Operation) int {
	n := 0
	for _, op := range history {
		if op.Input.(cas).value != 0 && op.Output.(seen).status == ledger.Unknown {
			n++
		}
	}
	return n
}
