package trace

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"weelo/internal/geo"
	"weelo/internal/track"
)

// Faults says how bad phones and their networks are. The zero value is a perfect phone.
type Faults struct {
	Duplicates  float64       // share of everything sent that repeats a fix sent before, [0,1)
	Coarse      float64       // share of fixes with an accuracy worse than 100 m, and really that far off
	BurstShare  float64       // share of the time without network; what was recorded comes after it in one go
	BurstLag    time.Duration // median age of such a fix when it comes
	Ahead       float64       // share of phones whose clock is ahead
	MaxAhead    time.Duration // by up to this much
	JitterM     float64       // standard deviation of every position, on top of the recorded noise
	MaxPerBatch int           // fixes in one batch; 0: 100, the server's limit
}

// DefaultFaults are those of the fleet's phones: 55 % duplicates, 6 % worse than 100 m, a lag of 15 s
// in the median when it lags, one clock in ten up to 7 s ahead.
func DefaultFaults() Faults {
	return Faults{Duplicates: 0.55, Coarse: 0.06, BurstShare: 0.2, BurstLag: 15 * time.Second,
		Ahead: 0.1, MaxAhead: 7 * time.Second, JitterM: 0, MaxPerBatch: 100}
}

// Quality is what the generator knows about a fix and the receiver does not.
type Quality int

// The qualities. Only a Good fix must end up on a watcher's screen if it is the newest.
const (
	Good  Quality = iota
	Bad           // coarse, or part of a jump
	Stale         // sent when it was too old to move anything
)

// Sample is a fix as the phone sends it, and what it is worth.
type Sample struct {
	Fix     track.Fix
	Quality Quality
}

// Sending is one thing the phone sends: a single fix, or a batch.
type Sending struct {
	Batch   bool
	Samples []Sample
}

// Phone turns true positions into what a phone sends. It is deterministic: the same seed and the
// same calls give the same sendings. It is not safe for concurrent use.
type Phone struct {
	faults   Faults
	rng      *rand.Rand
	skew     time.Duration
	maxMPS   float64
	dark     bool // no network
	until    time.Time
	backlog  []Sample // recorded in the dark
	repeat   []Sample // sent once already, to come again in a batch
	last     track.Fix
	distrust int // fixes after a jump that the server may still doubt
}

// NewPhone makes the phone with this number of a fleet with this seed. Positions that need more than
// maxMPS between two fixes are a jump of the recording; 0: 200 km/h.
func NewPhone(f Faults, seed, number uint64, maxMPS float64) *Phone {
	if maxMPS == 0 {
		maxMPS = 200 / 3.6
	}
	f.Duplicates = min(f.Duplicates, 0.95)
	if f.MaxPerBatch == 0 {
		f.MaxPerBatch = 100
	}
	p := &Phone{faults: f, rng: rand.New(rand.NewPCG(mix(seed), mix(seed^mix(number)))), maxMPS: maxMPS}
	if p.rng.Float64() < f.Ahead {
		p.skew = time.Duration(p.rng.Float64() * float64(f.MaxAhead))
	}
	return p
}

// mix is SplitMix64's finaliser: neighbouring seeds of a PCG would begin alike without it.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// staleMargin keeps the generator's "stale" clear of the server's 60 s: what is between may be either.
const staleMargin = 10 * time.Second

// Record takes the true position at now and answers what the phone sends at this moment: nothing in
// the dark, the backlog in batches when the network is back.
func (p *Phone) Record(truth track.Fix, now time.Time) []Sending {
	s := p.see(truth, now)
	p.network(now)
	// The copy of a fix comes in a batch a few fixes later, as from a phone that streams over a
	// socket and uploads what it recorded.
	for p.rng.Float64() < p.faults.Duplicates {
		p.repeat = append(p.repeat, s)
	}
	if p.dark {
		p.backlog = append(p.backlog, s)
		return nil
	}
	var out []Sending
	if len(p.backlog) > 0 {
		out = p.batches(append(p.backlog, s), now)
		p.backlog = nil
	} else {
		out = append(out, Sending{Samples: []Sample{s}})
	}
	if len(p.repeat) >= repeatAfter {
		out = append(out, p.batches(p.repeat, now)...)
		p.repeat = nil
	}
	return out
}

// repeatAfter is how many copies make an upload: the Captain app uploads five points at a time.
const repeatAfter = 5

// Flush is what the phone sends when its network stays: everything it still holds.
func (p *Phone) Flush(now time.Time) []Sending {
	held := append(p.repeat, p.backlog...)
	p.repeat, p.backlog, p.dark = nil, nil, false
	return p.batches(held, now)
}

// see is the fix as the phone records it.
func (p *Phone) see(truth track.Fix, now time.Time) Sample {
	f := truth
	f.TS = now.Add(p.skew).UnixMilli()
	if f.TS <= p.last.TS {
		f.TS = p.last.TS + 1
	}
	s := Sample{Fix: f}
	if p.jumped(f) {
		p.distrust = 4
	}
	p.last = f
	if p.distrust > 0 {
		p.distrust--
		s.Quality = Bad
	}
	if p.faults.JitterM > 0 {
		p.shift(&s.Fix, math.Abs(p.rng.NormFloat64())*p.faults.JitterM)
	}
	if p.rng.Float64() < p.faults.Coarse {
		s.Quality = Bad
		s.Fix.Accuracy = 110 + p.rng.Float64()*390
		p.shift(&s.Fix, s.Fix.Accuracy*p.rng.Float64())
	}
	return s
}

func (p *Phone) jumped(f track.Fix) bool {
	if p.last.TS == 0 {
		return false
	}
	dt := float64(f.TS-p.last.TS) / 1000
	return geo.Distance(p.last.Point(), f.Point()) > p.maxMPS*dt+50
}

func (p *Phone) shift(f *track.Fix, metres float64) {
	to := geo.Move(f.Point(), p.rng.Float64()*360, metres)
	f.Lat, f.Lng = to.Lat, to.Lng
}

// network goes dark and light so that the share of dark time and the median lag of what was recorded
// in it come out as asked. A fix falls into an exponential burst with what is left of it again
// exponential with the same mean, so the median lag is the mean × ln 2.
func (p *Phone) network(now time.Time) {
	if p.faults.BurstShare <= 0 || now.Before(p.until) {
		return
	}
	mean := float64(p.faults.BurstLag) / math.Ln2
	if !p.until.IsZero() && !p.dark {
		p.dark = true
		p.until = now.Add(time.Duration(p.rng.ExpFloat64() * mean))
		return
	}
	p.dark = false
	light := mean * (1 - p.faults.BurstShare) / p.faults.BurstShare
	p.until = now.Add(time.Duration(p.rng.ExpFloat64() * light))
}

func (p *Phone) batches(samples []Sample, now time.Time) []Sending {
	for i := range samples {
		age := now.Add(p.skew).Sub(time.UnixMilli(samples[i].Fix.TS))
		if samples[i].Quality == Good && age > track.StaleAfter-staleMargin {
			samples[i].Quality = Stale
		}
	}
	var out []Sending
	for chunk := range slices.Chunk(samples, p.faults.MaxPerBatch) {
		out = append(out, Sending{Batch: true, Samples: chunk})
	}
	return out
}
