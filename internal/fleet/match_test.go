package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"weelo/internal/fleet"
	"weelo/internal/geo"
)

// shelf is a fleet store made of what a test says.
type shelf struct {
	stocks  map[fleet.UserID]map[string]fleet.Stock
	users   []fleet.User
	open    map[fleet.UserID]int
	queries int
	err     error
}

func (s *shelf) Free(_ context.Context, ids []fleet.UserID, keys []string) (map[fleet.UserID]map[string]fleet.Stock, error) {
	s.queries++
	some := map[fleet.UserID]map[string]fleet.Stock{}
	for _, id := range ids {
		for _, key := range keys {
			if stock, ok := s.stocks[id][key]; ok {
				if some[id] == nil {
					some[id] = map[string]fleet.Stock{}
				}
				some[id][key] = stock
			}
		}
	}
	return some, s.err
}

func (s *shelf) Keys(context.Context, []fleet.UserID) (map[fleet.UserID][]string, error) {
	return nil, s.err
}

func (s *shelf) Crew(context.Context, []fleet.VehicleID, []fleet.UserID) (fleet.Crew, error) {
	return fleet.Crew{}, s.err
}

func (s *shelf) Users(_ context.Context, ids []fleet.UserID) ([]fleet.User, error) {
	var some []fleet.User
	for _, u := range s.users {
		if slices.Contains(ids, u.ID) {
			some = append(some, u)
		}
	}
	return some, nil
}

func (s *shelf) count(context.Context, []fleet.UserID) (map[fleet.UserID]int, error) {
	return s.open, nil
}

var yard = geo.Point{Lat: 12.97, Lng: 77.59}

// town is transporters at 1, 2, 3 … km north of the yard, each online with one free truck of the kind.
func town(n int, key string) (*fleet.Grid, *shelf) {
	g, s := fleet.NewGrid(life), &shelf{stocks: map[fleet.UserID]map[string]fleet.Stock{}}
	for i := 1; i <= n; i++ {
		id := fleet.UserID(fmt.Sprintf("t%03d", i))
		g.Put(id, geo.Move(yard, 0, float64(i)*1000), []string{key}, noon.UnixMilli())
		s.users = append(s.users, fleet.User{ID: id, Role: fleet.Transporter, Available: true, KYC: fleet.KYCVerified})
		s.stocks[id] = map[string]fleet.Stock{key: {Free: 1, Total: 2}}
	}
	return g, s
}

// who is the table in short: id and why skipped.
func who(table []fleet.Candidate) []string {
	list := []string{}
	for _, c := range table {
		line := string(c.Transporter)
		if c.Skipped != "" {
			line += " " + c.Skipped
		}
		list = append(list, line)
	}
	return list
}

func TestEveryReasonToSkipSomebody(t *testing.T) {
	t.Parallel()
	g, s := town(9, open)
	s.users[0].Available = false
	s.users[1].Suspended = true
	s.users[2].KYC = fleet.KYCUnderReview
	s.stocks["t005"][open] = fleet.Stock{Total: 2}
	s.open = map[fleet.UserID]int{"t006": 2, "t007": 1}
	rules := fleet.DefaultMatchRules()
	rules.RequireKYC, rules.OpenOffers, rules.Ranking.Notify = true, 2, 2
	m := fleet.Matcher{Locator: g, Supply: s, Users: s, Offers: s.count, Rules: rules}
	table, err := m.Candidates(t.Context(), fleet.Wanted{
		Slots: map[string]int{open: 3, lcv: 0}, At: yard, RadiusKM: 10, Now: noon,
		Offered: func(id fleet.UserID) bool { return id == "t004" },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"t007", "t008", "t009 beyond_cap", "t001 offline", "t002 suspended", "t003 kyc", "t004 already_offered",
		"t005 no_free_vehicle", "t006 too_many_offers"}
	if diff := gocmp.Diff(want, who(table)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	first := fleet.Candidate{Transporter: "t007", DistanceM: 7000, ETASeconds: 1092, Free: 1, Total: 2, Stocks: map[string]fleet.Stock{open: {Free: 1, Total: 2}}}
	if diff := gocmp.Diff(first, table[0]); diff != "" {
		t.Errorf("first line (-want +got):\n%s", diff)
	}
	if s.queries != 1 {
		t.Errorf("%d questions about supply for one wave, want 1", s.queries)
	}
}

func TestAnOrderOfTwoKindsLooksForBoth(t *testing.T) {
	t.Parallel()
	g, s := town(2, open)
	g.Put("t003", geo.Move(yard, 90, 1500), []string{lcv, open}, noon.UnixMilli())
	s.users = append(s.users, fleet.User{ID: "t003", Role: fleet.Transporter, Available: true})
	s.stocks["t003"] = map[string]fleet.Stock{lcv: {Free: 2, Total: 2}, open: {Free: 0, Total: 3}, third: {Free: 9, Total: 9}}
	m := fleet.Matcher{Locator: g, Supply: s, Users: s, Rules: fleet.DefaultMatchRules()}
	table, err := m.Candidates(t.Context(), fleet.Wanted{Slots: map[string]int{open: 1, lcv: 1}, At: yard, RadiusKM: 5, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]string{"t001", "t003", "t002"}, who(table)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if c := table[1]; c.Free != 2 || c.Total != 5 || len(c.Stocks) != 2 {
		t.Errorf("both kinds together: %+v, want 2 free of 5 in 2 kinds", c)
	}
}

func TestOneWhoComesOnlineIsLookedAtAlone(t *testing.T) {
	t.Parallel()
	g, s := town(5, open)
	m := fleet.Matcher{Locator: g, Supply: s, Users: s, Rules: fleet.DefaultMatchRules()}
	w := fleet.Wanted{Slots: map[string]int{open: 1}, At: yard, RadiusKM: 5, Only: "t004", Now: noon}
	for radius, want := range map[float64][]string{5: {"t004"}, 3: {}} {
		w.RadiusKM = radius
		table, err := m.Candidates(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, who(table)); diff != "" {
			t.Errorf("within %v km (-want +got):\n%s", radius, diff)
		}
	}
	w.RadiusKM, w.Offered = 5, func(fleet.UserID) bool { return true }
	table, err := m.Candidates(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]string{"t004 already_offered"}, who(table)); diff != "" {
		t.Errorf("offered before (-want +got):\n%s", diff)
	}
}

func TestThoseOfferedBeforeTakeNobodysPlace(t *testing.T) {
	t.Parallel()
	g, s := town(300, open)
	m := fleet.Matcher{Locator: g, Supply: s, Users: s, Rules: fleet.DefaultMatchRules()}
	table, err := m.Candidates(t.Context(), fleet.Wanted{Slots: map[string]int{open: 1}, At: yard, RadiusKM: 400, Now: noon,
		Offered: func(id fleet.UserID) bool { return id <= "t100" }})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, c := range table {
		count[c.Skipped]++
	}
	if diff := gocmp.Diff(map[string]int{"": 100, fleet.SkipBeyondCap: 100, fleet.SkipOffered: 50}, count); diff != "" {
		t.Errorf("of %d lines (-want +got):\n%s", len(table), diff)
	}
}

// engine is a road engine: it answers, is late, or fails.
type engine func(ctx context.Context, n int) ([]time.Duration, error)

func (e engine) ETA(ctx context.Context, from []geo.Point, _ geo.Point) ([]time.Duration, error) {
	return e(ctx, len(from))
}

func TestARoadEngineDecidesWhoIsNearUnlessItFails(t *testing.T) {
	t.Parallel()
	detour := engine(func(_ context.Context, n int) ([]time.Duration, error) {
		times := make([]time.Duration, n)
		for i := range times {
			times[i] = time.Duration(n-i) * time.Minute // the nearest is across the river
		}
		return times, nil
	})
	broken := engine(func(context.Context, int) ([]time.Duration, error) { return nil, errors.New("no route") })
	short := engine(func(context.Context, int) ([]time.Duration, error) { return []time.Duration{1}, nil })
	late := engine(func(ctx context.Context, _ int) ([]time.Duration, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	near, far := []string{"t001", "t002", "t003"}, []string{"t003", "t002", "t001"}
	for name, c := range map[string]struct {
		engine fleet.RoadETA
		want   []string
	}{"none": {nil, near}, "straight": {fleet.StraightETA{}, near}, "detour": {detour, far}, "broken": {broken, near}, "short": {short, near}, "late": {late, near}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, s := town(3, open)
			rules := fleet.DefaultMatchRules()
			rules.ETALimit = 20 * time.Millisecond
			m := fleet.Matcher{Locator: g, Supply: s, Users: s, ETA: c.engine, Rules: rules}
			table, err := m.Candidates(t.Context(), fleet.Wanted{Slots: map[string]int{open: 1}, At: yard, RadiusKM: 5, Now: noon})
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(c.want, who(table)); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAStoreThatFailsIsNotTakenForAnEmptyOne(t *testing.T) {
	t.Parallel()
	g, s := town(3, open)
	s.err = errors.New("away")
	m := fleet.Matcher{Locator: g, Supply: s, Users: s, Rules: fleet.DefaultMatchRules()}
	if table, err := m.Candidates(t.Context(), fleet.Wanted{Slots: map[string]int{open: 1}, At: yard, RadiusKM: 5, Now: noon}); !errors.Is(err, s.err) {
		t.Errorf("%v, %v; want the store's error", table, err)
	}
}

func TestAScoreCanPutTheFurtherFirst(t *testing.T) {
	t.Parallel()
	good := fleet.Record{Offers: 50, Acceptance: 0.9, Response: 6 * time.Second, Rating: 5}
	table := []fleet.Candidate{
		{Transporter: "near", ETASeconds: 300}, {Transporter: "far", ETASeconds: 400, Record: good},
		{Transporter: "slow", ETASeconds: 1000, Record: fleet.Record{Offers: 50, Acceptance: 0.1, Response: 3 * time.Minute, Rating: 1}},
	}
	if diff := gocmp.Diff([]string{"near", "far", "slow"}, who(fleet.Rank(table, fleet.DefaultRanking()))); diff != "" {
		t.Errorf("by ETA (-want +got):\n%s", diff)
	}
	r := fleet.DefaultRanking()
	r.Scoring = true
	scored := fleet.Rank(table, r)
	if diff := gocmp.Diff([]string{"far", "near", "slow"}, who(scored)); diff != "" {
		t.Errorf("by score (-want +got):\n%s", diff)
	}
	// far: 0.5·(1−400/1000) + 0.2·0.9 + 0.2·(1−6/60) + 0.1·1
	if got := []float64{scored[0].Score, scored[1].Score, scored[2].Score}; !slices.Equal(got, []float64{0.76, 0.6, 0.04}) {
		t.Errorf("scores %v", got)
	}
}

func TestARankingDependsOnTheCandidatesAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		table := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) fleet.Candidate {
			return fleet.Candidate{
				Transporter: fleet.UserID(fmt.Sprint("t", rapid.IntRange(0, 99).Draw(t, "id"))), DistanceM: rapid.IntRange(0, 5).Draw(t, "m"),
				ETASeconds: rapid.IntRange(0, 5).Draw(t, "eta"), Skipped: rapid.SampledFrom([]string{"", "", fleet.SkipNoVehicle}).Draw(t, "skipped"),
				Record: fleet.Record{Offers: rapid.IntRange(0, 9).Draw(t, "offers"), Acceptance: rapid.Float64Range(0, 1).Draw(t, "acceptance"),
					Response: time.Duration(rapid.IntRange(0, 100).Draw(t, "s")) * time.Second, Rating: rapid.Float64Range(0, 5).Draw(t, "rating")},
			}
		}), 0, 30, func(c fleet.Candidate) fleet.UserID { return c.Transporter }).Draw(t, "table")
		r := fleet.Ranking{Scoring: rapid.Bool().Draw(t, "scoring"), Weights: fleet.DefaultWeights(), Notify: rapid.IntRange(0, 10).Draw(t, "notify")}
		ranked := fleet.Rank(table, r)
		if diff := gocmp.Diff(ranked, fleet.Rank(rapid.Permutation(table).Draw(t, "shuffled"), r), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("another order in, another out:\n%s", diff)
		}
		notified := 0
		for i, c := range ranked {
			if c.Score < 0 || c.Score > 1 {
				t.Fatalf("score %v", c.Score)
			}
			if c.Skipped == "" {
				if notified++; i != notified-1 {
					t.Fatalf("somebody skipped stands before %s", c.Transporter)
				}
			}
		}
		eligible := 0
		for _, c := range table {
			if c.Skipped == "" {
				eligible++
			}
		}
		if notified != min(eligible, r.Notify) {
			t.Fatalf("%d of %d notified, want at most %d", notified, eligible, r.Notify)
		}
	})
}

func TestARecordIsMadeOfAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		offers, held, answered int
		waited                 time.Duration
		want                   fleet.Record
	}{
		"nothing known":        {0, 0, 0, 0, fleet.Record{Response: time.Minute}},
		"never an answer":      {8, 0, 0, 0, fleet.Record{Offers: 8, Response: time.Minute}},
		"two held, one not":    {6, 2, 3, 30 * time.Second, fleet.Record{Offers: 6, Acceptance: 1.0 / 3, Response: 10 * time.Second}},
		"all held in a second": {5, 5, 5, 5 * time.Second, fleet.Record{Offers: 5, Acceptance: 1, Response: time.Second}},
	}
	for name, test := range tests {
		if got := fleet.RecordOf(test.offers, test.held, test.answered, test.waited); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
	// Whoever ignores what he is shown ranks behind one of whom nothing is known, and that one behind one who answers.
	ranking := fleet.DefaultRanking()
	ranking.Scoring = true
	var order []fleet.UserID
	for _, c := range fleet.Rank([]fleet.Candidate{
		{Transporter: "ignores", ETASeconds: 60, Record: fleet.RecordOf(8, 0, 0, 0)},
		{Transporter: "new", ETASeconds: 60},
		{Transporter: "answers", ETASeconds: 60, Record: fleet.RecordOf(8, 8, 8, 80*time.Second)},
	}, ranking) {
		order = append(order, c.Transporter)
	}
	if want := []fleet.UserID{"answers", "new", "ignores"}; !slices.Equal(order, want) {
		t.Errorf("ranked %v, want %v", order, want)
	}
}
