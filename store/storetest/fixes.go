package storetest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/track"
)

// Drivers for suites: ids must be UUIDs, as in production.
const (
	driverA = fleet.UserID("0b7f2a30-7c0e-4e0f-8d53-0000000000a1")
	driverB = fleet.UserID("0b7f2a30-7c0e-4e0f-8d53-0000000000b2")
)

// Fixes is the conformance suite of history.Store. open gives an empty store.
func Fixes(t *testing.T, open func(t *testing.T) history.Store) {
	t.Helper()
	const t0 = int64(1_790_000_000_000)
	fix := func(ts int64) track.Fix {
		return track.Fix{TS: t0 + ts, ReceivedMS: t0 + ts + 120, Lat: 12.9716001234, Lng: 77.5946, Accuracy: 8}
	}
	row := func(d fleet.UserID, f track.Fix) history.Row { return history.Row{Driver: d, Fix: f} }

	t.Run("new and duplicate are told apart, across and inside a call", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		isNew, err := s.Save(t.Context(), []history.Row{row(driverA, fix(2)), row(driverA, fix(1)), row(driverB, fix(1)), row(driverA, fix(2))})
		must(t, err)
		if diff := cmp.Diff([]bool{true, true, true, false}, isNew); diff != "" {
			t.Errorf("first call (-want +got):\n%s", diff)
		}
		isNew, err = s.Save(t.Context(), []history.Row{row(driverA, fix(3)), row(driverA, fix(2)), row(driverB, fix(2))})
		must(t, err)
		if diff := cmp.Diff([]bool{true, false, true}, isNew); diff != "" {
			t.Errorf("second call (-want +got):\n%s", diff)
		}
		isNew, err = s.Save(t.Context(), nil)
		must(t, err)
		if len(isNew) != 0 {
			t.Errorf("nothing saved, answered %v", isNew)
		}
	})

	t.Run("a long call with some of it there already, and some of it better", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		worse := fix(70)
		worse.Accuracy = 40
		_, err := s.Save(t.Context(), []history.Row{row(driverA, fix(10)), row(driverA, worse)})
		must(t, err)
		var rows []history.Row
		var want []bool
		var kept []track.Fix
		for ts := range int64(150) {
			rows, want, kept = append(rows, row(driverA, fix(ts))), append(want, ts != 10 && ts != 70), append(kept, fix(ts))
		}
		isNew, err := s.Save(t.Context(), rows)
		must(t, err)
		if diff := cmp.Diff(want, isNew); diff != "" {
			t.Errorf("new ones (-want +got):\n%s", diff)
		}
		got, err := s.Fixes(t.Context(), driverA, 0, math.MaxInt64, 1000)
		must(t, err)
		if diff := cmp.Diff(kept, got); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
	})

	t.Run("every field comes back, sorted by time, within the span", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		full := fix(5)
		full.Speed, full.HasSpeed, full.Bearing, full.HasBearing, full.Mock = 11.25, true, 0, true, true
		_, err := s.Save(t.Context(), []history.Row{row(driverA, full), row(driverA, fix(9)), row(driverA, fix(1)), row(driverA, fix(7)), row(driverB, fix(6))})
		must(t, err)
		got, err := s.Fixes(t.Context(), driverA, t0+1, t0+9, 10)
		must(t, err)
		if diff := cmp.Diff([]track.Fix{full, fix(7), fix(9)}, got); diff != "" {
			t.Errorf("fixes (-want +got):\n%s", diff)
		}
		page, err := s.Fixes(t.Context(), driverA, 0, math.MaxInt64, 2)
		must(t, err)
		if diff := cmp.Diff([]track.Fix{fix(1), full}, page); diff != "" {
			t.Errorf("first page (-want +got):\n%s", diff)
		}
	})

	t.Run("of two fixes with one key the better one stays, whatever the order", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		variants := conflicting(fix(0))
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, 7))
			some := make([]track.Fix, 2+r.IntN(6))
			best := track.Fix{}
			for i := range some {
				some[i] = variants[r.IntN(len(variants))]
				some[i].TS += int64(seed)
				if i == 0 || track.Better(some[i], best) {
					best = some[i]
				}
			}
			for at := 0; at < len(some); { // in calls of one to three
				n := min(len(some)-at, 1+r.IntN(3))
				rows := make([]history.Row, n)
				for i := range rows {
					rows[i] = row(driverA, some[at+i])
				}
				_, err := s.Save(t.Context(), rows)
				must(t, err)
				at += n
			}
			got, err := s.Fixes(t.Context(), driverA, best.TS-1, best.TS, 2)
			must(t, err)
			if diff := cmp.Diff([]track.Fix{best}, got); diff != "" {
				t.Fatalf("seed %d: stored (-want +got):\n%s", seed, diff)
			}
		}
	})

	t.Run("writers of the same keys in parallel: each key is new once", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		const writers, keys = 6, 60
		counts := make([]int, writers)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				order := rand.New(rand.NewPCG(uint64(w), 3)).Perm(keys)
				for at := 0; at < keys; at += 20 {
					rows := make([]history.Row, 20)
					for i := range rows {
						f := fix(int64(order[at+i]))
						f.Accuracy = float64(1 + (w+order[at+i])%writers)
						rows[i] = row(driverA, f)
					}
					isNew, err := s.Save(t.Context(), rows)
					if err != nil {
						t.Error(err)
						return
					}
					for _, n := range isNew {
						if n {
							counts[w]++
						}
					}
				}
			})
		}
		wg.Wait()
		total := 0
		for _, n := range counts {
			total += n
		}
		got, err := s.Fixes(t.Context(), driverA, 0, math.MaxInt64, 2*keys)
		must(t, err)
		if total != keys || len(got) != keys {
			t.Errorf("%d answered new, %d stored, want %d", total, len(got), keys)
		}
		for _, f := range got {
			if f.Accuracy != 1 {
				t.Errorf("fix %d kept accuracy %v, the best sent was 1", f.TS, f.Accuracy)
			}
		}
	})

	t.Run("newest inside each window, simulated ones aside", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		mock := fix(8)
		mock.Mock = true
		_, err := s.Save(t.Context(), []history.Row{row(driverA, fix(5)), row(driverA, fix(1)), row(driverA, mock), row(driverB, fix(3)), row(driverA, fix(2)), row(driverA, fix(4))})
		must(t, err)
		windows := []history.Window{
			{Driver: driverA, From: t0, To: math.MaxInt64},
			{Driver: driverA, From: t0, To: t0 + 4},
			{Driver: driverA, From: t0 + 2, To: t0 + 4},
			{Driver: driverA, From: t0 + 6, To: t0 + 9},
			{Driver: driverB, From: t0 + 3, To: t0 + 3},
			{},
		}
		for each, want := range map[int][][]track.Fix{
			1: {{fix(5)}, {fix(4)}, {fix(4)}, nil, {fix(3)}, nil},
			3: {{fix(2), fix(4), fix(5)}, {fix(1), fix(2), fix(4)}, {fix(2), fix(4)}, nil, {fix(3)}, nil},
		} {
			got, err := s.Newest(t.Context(), windows, each)
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("newest %d (-want +got):\n%s", each, diff)
			}
		}
		none, err := s.Newest(t.Context(), nil, 1)
		must(t, err)
		if len(none) != 0 {
			t.Errorf("nothing asked, got %v", none)
		}
	})

	t.Run("a driver's first call repeats itself, after a call that met known fixes", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		_, err := s.Save(t.Context(), []history.Row{row(driverA, fix(1)), row(driverA, fix(1))})
		must(t, err)
		var rows []history.Row
		for ts := range int64(60) {
			rows = append(rows, row(driverB, fix(ts)), row(driverB, fix(ts/2)))
		}
		isNew, err := s.Save(t.Context(), rows)
		must(t, err)
		fresh := slices.DeleteFunc(slices.Clone(isNew), func(is bool) bool { return !is })
		if len(fresh) != 60 {
			t.Errorf("%d of the 60 fixes are new", len(fresh))
		}
		const driverC = fleet.UserID("0b7f2a30-7c0e-4e0f-8d53-0000000000c3")
		_, err = s.Save(t.Context(), []history.Row{row(driverC, fix(1000))})
		must(t, err)
		for driver, want := range map[fleet.UserID]int{driverA: 1, driverB: 60, driverC: 1} {
			got, err := s.Fixes(t.Context(), driver, 0, math.MaxInt64, 100)
			must(t, err)
			if len(got) != want {
				t.Errorf("%s has %d fixes, want %d", driver, len(got), want)
			}
		}
	})

	t.Run("retention removes by time of receipt, at most so many", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		rows := make([]history.Row, 10)
		for i := range rows {
			rows[i] = row(driverA, fix(int64(i)))
		}
		_, err := s.Save(t.Context(), rows)
		must(t, err)
		before := t0 + 120 + 6 // six were received before
		for _, want := range []int{4, 2, 0} {
			n, err := s.Forget(t.Context(), before, 4)
			must(t, err)
			if n != want {
				t.Errorf("forgot %d, want %d", n, want)
			}
		}
		left, err := s.Fixes(t.Context(), driverA, 0, math.MaxInt64, 100)
		must(t, err)
		if len(left) != 4 || left[0].TS != t0+6 {
			t.Errorf("left %d from %d, want the 4 from %d", len(left), left[0].TS, t0+6)
		}
	})

	t.Run("a call that fails stores nothing", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		broken, cancel := cancelled(t)
		defer cancel()
		if _, err := s.Save(broken, []history.Row{row(driverA, fix(1)), row(driverA, fix(3))}); err == nil {
			t.Error("saved in spite of a cancelled context")
		}
		got, err := s.Fixes(t.Context(), driverA, 0, math.MaxInt64, 10)
		must(t, err)
		if len(got) != 0 {
			t.Errorf("stored %v", got)
		}
	})
}

// conflicting gives fixes that differ from f in every way that the conflict rule compares.
func conflicting(f track.Fix) []track.Fix {
	var all []track.Fix
	for _, accuracy := range []float64{0, 4, 9} {
		for _, lat := range []float64{12.97, 12.98} {
			for _, lng := range []float64{77.59, 77.6} {
				for k := range 4 {
					v := f
					v.Accuracy, v.Lat, v.Lng = accuracy, lat, lng
					if k&1 == 1 {
						v.Speed, v.HasSpeed = 3, true
					}
					if k&2 == 2 {
						v.Bearing, v.HasBearing, v.Mock = 90, true, true
					}
					all = append(all, v)
				}
			}
		}
	}
	return all
}

// Vehicles is the conformance suite of fleet.Vehicles. open gives an empty store.
func Vehicles(t *testing.T, open func(t *testing.T) fleet.Vehicles) {
	t.Helper()
	at := time.Date(2026, 11, 24, 10, 0, 0, 123_000, time.UTC)
	truck := func(id, number string) fleet.Vehicle {
		return fleet.Vehicle{ID: fleet.VehicleID(id), TransporterID: "t1", Number: number, Type: "open", Subtype: "17 Feet",
			Capacity: "7 t", Model: "Tata 1109", Year: 2021, Status: "available", CreatedAt: at, UpdatedAt: at}
	}

	t.Run("born once, then changed under its number", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		born, isNew, err := s.Upsert(t.Context(), truck("v1", "KA01AB1234"))
		must(t, err)
		if diff := cmp.Diff(truck("v1", "KA01AB1234"), born); diff != "" || !isNew {
			t.Errorf("born (new %v, -want +got):\n%s", isNew, diff)
		}
		change := truck("v2", "KA01AB1234")
		change.Status, change.Subtype, change.CreatedAt, change.UpdatedAt = "maintenance", "20 Feet", at.Add(time.Hour), at.Add(time.Hour)
		stored, isNew, err := s.Upsert(t.Context(), change)
		must(t, err)
		want := change
		want.ID, want.CreatedAt = "v1", at
		if diff := cmp.Diff(want, stored); diff != "" || isNew {
			t.Errorf("changed (new %v, -want +got):\n%s", isNew, diff)
		}
		got, err := s.Vehicle(t.Context(), "v1")
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read (-want +got):\n%s", diff)
		}
		change.Status = "" // says nothing about it
		stored, _, err = s.Upsert(t.Context(), change)
		must(t, err)
		fresh := truck("v3", "KA01AB1235")
		fresh.Status = ""
		born, _, err = s.Upsert(t.Context(), fresh)
		must(t, err)
		if stored.Status != "maintenance" || born.Status != "available" {
			t.Errorf("without a status: %q and, born, %q; want maintenance and available", stored.Status, born.Status)
		}
		if _, err := s.Vehicle(t.Context(), "v2"); !errors.Is(err, fleet.ErrNoVehicle) {
			t.Errorf("an id that was never stored: %v, want ErrNoVehicle", err)
		}
	})

	t.Run("another transporter's number is refused and nothing changes", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		_, _, err := s.Upsert(t.Context(), truck("v1", "KA01AB1234"))
		must(t, err)
		thief := truck("v9", "KA01AB1234")
		thief.TransporterID, thief.Status = "t2", "inactive"
		if _, _, err := s.Upsert(t.Context(), thief); !errors.Is(err, fleet.ErrNumberTaken) {
			t.Errorf("got %v, want ErrNumberTaken", err)
		}
		list, err := s.VehiclesOf(t.Context(), "t1")
		must(t, err)
		if diff := cmp.Diff([]fleet.Vehicle{truck("v1", "KA01AB1234")}, list); diff != "" {
			t.Errorf("vehicles (-want +got):\n%s", diff)
		}
	})

	t.Run("a fleet is listed by number and holds its own only", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for i, number := range []string{"MH12CD0002", "KA01AB0001", "DL01ZZ0003"} {
			_, _, err := s.Upsert(t.Context(), truck(fmt.Sprint("v", i), number))
			must(t, err)
		}
		other := truck("v7", "TN07AA0007")
		other.TransporterID = "t2"
		_, _, err := s.Upsert(t.Context(), other)
		must(t, err)
		list, err := s.VehiclesOf(t.Context(), "t1")
		must(t, err)
		var numbers []string
		for _, v := range list {
			numbers = append(numbers, v.Number)
		}
		if diff := cmp.Diff([]string{"DL01ZZ0003", "KA01AB0001", "MH12CD0002"}, numbers); diff != "" {
			t.Errorf("numbers (-want +got):\n%s", diff)
		}
		none, err := s.VehiclesOf(t.Context(), "t3")
		must(t, err)
		if len(none) != 0 {
			t.Errorf("somebody without vehicles has %v", none)
		}
	})

	t.Run("one plate registered by many at once has one owner", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var wg sync.WaitGroup
		won := make([]bool, 8)
		for i := range won {
			wg.Go(func() {
				v := truck(fmt.Sprint("v", i), "KA05XY9999")
				v.TransporterID = fleet.UserID(fmt.Sprint("t", i))
				_, isNew, err := s.Upsert(t.Context(), v)
				if err != nil && !errors.Is(err, fleet.ErrNumberTaken) {
					t.Error(err)
				}
				won[i] = isNew && err == nil
			})
		}
		wg.Wait()
		winners := 0
		for _, w := range won {
			if w {
				winners++
			}
		}
		if winners != 1 {
			t.Errorf("%d owners, want 1", winners)
		}
	})
}
