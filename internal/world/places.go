package world

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"strconv"

	"weelo/internal/geo"
)

//go:embed cities/cities.csv
var citiesCSV []byte

// City is a freight city of India (GeoNames, CC BY 4.0).
type City struct {
	Name  string
	State string
	At    geo.Point
}

// Cities reads the cities that the binary carries.
func Cities() ([]City, error) {
	rows, err := csv.NewReader(bytes.NewReader(citiesCSV)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read cities: %w", err)
	}
	cities := make([]City, 0, len(rows))
	for _, row := range rows[1:] {
		lat, errLat := strconv.ParseFloat(row[2], 64)
		lng, errLng := strconv.ParseFloat(row[3], 64)
		if errLat != nil || errLng != nil {
			return nil, fmt.Errorf("read cities: %q has no position", row[0])
		}
		cities = append(cities, City{Name: row[0], State: row[1], At: geo.Point{Lat: lat, Lng: lng}})
	}
	return cities, nil
}

// Stop is one end of a lane: an address in a city.
type Stop struct {
	Address string
	City    City
	At      geo.Point
}

// Lane is a way that goods go.
type Lane struct{ From, To Stop }

// LengthM is the straight way in metres.
func (l Lane) LengthM() float64 { return geo.Distance(l.From.At, l.To.At) }

// Lanes chooses pairs of cities between minKm and maxKm apart, deterministically.
type Lanes struct {
	cities       []City
	minKm, maxKm float64
}

// NewLanes makes the chooser over the carried cities.
func NewLanes(minKm, maxKm float64) (*Lanes, error) {
	cities, err := Cities()
	return &Lanes{cities: cities, minKm: minKm, maxKm: maxKm}, err
}

// Pick is the n-th lane of the seed.
func (l *Lanes) Pick(seed, n uint64) Lane {
	rng := dice(seed, 4, n, 0)
	for range 200 {
		from, to := l.cities[rng.IntN(len(l.cities))], l.cities[rng.IntN(len(l.cities))]
		if km := geo.Distance(from.At, to.At) / 1000; km >= l.minKm && km <= l.maxKm {
			return Lane{From: yard(rng, from), To: yard(rng, to)}
		}
	}
	return Lane{From: yard(rng, l.cities[0]), To: yard(rng, l.cities[1])}
}

// From is the n-th lane of the seed that begins where another ended.
func (l *Lanes) From(from Stop, seed, n uint64) Lane {
	rng := dice(seed, 4, n, 0)
	for range 200 {
		to := l.cities[rng.IntN(len(l.cities))]
		if km := geo.Distance(from.At, to.At) / 1000; km >= l.minKm && km <= l.maxKm {
			return Lane{From: from, To: yard(rng, to)}
		}
	}
	return Lane{From: from, To: yard(rng, l.cities[0])}
}

// yard is a made-up address within 4 km of the middle of a city.
func yard(rng *rand.Rand, c City) Stop {
	street := pick(rng, []string{"Transport Nagar", "APMC Yard", "Industrial Area", "Market Road", "Ring Road", "Truck Terminal", "Goods Shed Road", "SIDCO Estate"})
	return Stop{
		Address: fmt.Sprintf("%d, %s, %s", 1+rng.IntN(180), street, c.Name),
		City:    c, At: geo.Move(c.At, rng.Float64()*360, 300+rng.Float64()*3700),
	}
}
