package fleet

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Why a transporter who was found was not offered an order. Skipped is empty for those who are.
const (
	SkipOffline   = "offline"         // he went offline between the look and the offer
	SkipSuspended = "suspended"       //
	SkipKYC       = "kyc"             // not verified, where that is asked for
	SkipOffered   = "already_offered" // an earlier wave, or he came online during it
	SkipNoVehicle = "no_free_vehicle" //
	SkipBusy      = "too_many_offers" // as many open offers as one may have
	SkipBeyondCap = "beyond_cap"      // others were nearer and the wave was full
)

// Candidate is one line of a wave's table: a transporter who was looked at. The table is kept with
// the order, so that the question why somebody got it or not has an answer.
type Candidate struct {
	Transporter UserID  `json:"transporterId"`
	DistanceM   int     `json:"distanceM"`  // great-circle, to the pickup
	ETASeconds  int     `json:"etaSeconds"` // by road, estimated
	Score       float64 `json:"score"`      // 0..1, three decimals; 0 when scoring is off
	// Free and Total are his vehicles of the wanted kinds.
	Free    int              `json:"freeVehicles"`
	Total   int              `json:"totalVehicles"`
	Stocks  map[string]Stock `json:"stocks,omitempty"` // by kind, the wanted ones that he has
	Skipped string           `json:"skipped,omitempty"`

	Record Record `json:"-"` // what the score is made of
}

// Stock is how many vehicles of a kind a transporter has, and how many of them are free: available
// and on no live trip.
type Stock struct {
	Free  int `json:"free"`
	Total int `json:"total"`
}

// Record is how a transporter dealt with earlier offers. The zero value is: nothing known.
type Record struct {
	Offers     int           // how many it is made of
	Acceptance float64       // share of offers that he held, 0..1
	Response   time.Duration // usual time to answer
	Rating     float64       // 1..5; 0: none yet
}

// RecordOver is how far back a record looks.
const RecordOver = 30 * 24 * time.Hour

// RecordOf makes a record of how many offers a transporter was shown to the end, how many of them he
// held and how many he answered at all, and how long he took for the answered in sum. Whoever never
// answers counts as slow. There is no rating: nobody can rate a transporter yet, so all score the middle.
func RecordOf(offers, held, answered int, waited time.Duration) Record {
	r := Record{Offers: offers, Response: slowResponse}
	if offers > 0 {
		r.Acceptance = float64(held) / float64(offers)
	}
	if answered > 0 {
		r.Response = waited / time.Duration(answered)
	}
	return r
}

// Weights says what a score is made of; they need not add up to one.
type Weights struct {
	ETA        float64
	Acceptance float64
	Response   float64
	Rating     float64
}

// Ranking is how candidates are put in order.
type Ranking struct {
	Scoring bool // false: by ETA alone
	Weights Weights
	Notify  int // at most this many are offered in one wave
}

// The limits and weights of the apps' contract, §3.
const (
	DefaultNotify     = 100
	DefaultOpenOffers = 20
)

// DefaultWeights is the score of the apps' contract, §3.
func DefaultWeights() Weights { return Weights{ETA: 0.5, Acceptance: 0.2, Response: 0.2, Rating: 0.1} }

// DefaultRanking puts the nearest first.
func DefaultRanking() Ranking {
	return Ranking{Weights: DefaultWeights(), Notify: DefaultNotify}
}

const (
	// slowResponse: whoever takes this long to answer scores nothing for his speed.
	slowResponse = 60 * time.Second
	// fewOffers: below this a record says nothing, and its owner scores the middle.
	fewOffers = 5
)

// Rank puts a wave's table in order: those to offer to first, best first, then the rest. It scores
// them if asked to and marks those beyond r.Notify. The order does not depend on that of the input.
func Rank(candidates []Candidate, r Ranking) []Candidate {
	table := slices.Clone(candidates)
	worst := 0
	for _, c := range table {
		worst = max(worst, c.ETASeconds)
	}
	for i := range table {
		table[i].Score = 0
		if r.Scoring {
			table[i].Score = score(table[i], r.Weights, worst)
		}
	}
	slices.SortFunc(table, func(a, b Candidate) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)),
			cmp.Compare(b.Score, a.Score),
			cmp.Compare(a.ETASeconds, b.ETASeconds),
			cmp.Compare(a.DistanceM, b.DistanceM),
			cmp.Compare(a.Transporter, b.Transporter),
		)
	})
	for i := range table {
		if table[i].Skipped == "" && i >= r.Notify {
			table[i].Skipped = SkipBeyondCap
		}
	}
	return table
}

func rank(c Candidate) int {
	if c.Skipped == "" {
		return 0
	}
	return 1
}

// score weighs a candidate against the slowest of his wave.
func score(c Candidate, w Weights, worst int) float64 {
	total := w.ETA + w.Acceptance + w.Response + w.Rating
	if total <= 0 {
		return 0
	}
	const middle = 0.5
	eta, acceptance, response, rating := 1.0, middle, middle, middle
	if worst > 0 {
		eta = 1 - float64(c.ETASeconds)/float64(worst)
	}
	if c.Record.Offers >= fewOffers {
		acceptance = min(1, max(0, c.Record.Acceptance))
		response = min(1, max(0, 1-float64(c.Record.Response)/float64(slowResponse)))
	}
	if c.Record.Rating > 0 {
		rating = min(1, c.Record.Rating/5)
	}
	s := (w.ETA*eta + w.Acceptance*acceptance + w.Response*response + w.Rating*rating) / total
	return math.Round(s*1000) / 1000
}
