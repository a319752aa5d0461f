// Package geo is the little spherical geometry that positions need: distance, bearing, moving a
// point, bounding boxes. Coordinates are WGS-84 degrees, distances metres.
//
// Invariant: every function is total on finite input and never answers NaN for coordinates in
// range. The sphere is within 0.56 % of the ellipsoid (testdata/geodesic proves it), which is far
// below what a phone's receiver is off by.
package geo

import "math"

// EarthRadiusM is the mean radius R1 of WGS-84 (IUGG), metres.
const EarthRadiusM = 6371008.8

// Point is a position in degrees.
type Point struct {
	Lat float64
	Lng float64
}

// Valid tells whether p is finite and in range: latitude ±90, longitude ±180.
func (p Point) Valid() bool {
	return p.Lat >= -90 && p.Lat <= 90 && p.Lng >= -180 && p.Lng <= 180
}

// Distance is the great-circle distance between a and b in metres (haversine).
func Distance(a, b Point) float64 {
	sinLat := math.Sin(radians(b.Lat-a.Lat) / 2)
	sinLng := math.Sin(radians(b.Lng-a.Lng) / 2)
	h := sinLat*sinLat + math.Cos(radians(a.Lat))*math.Cos(radians(b.Lat))*sinLng*sinLng
	// Rounding can push h a hair above 1 for antipodes; the square root of a negative would be NaN.
	return 2 * EarthRadiusM * math.Asin(math.Sqrt(math.Min(1, h)))
}

// Bearing is the initial course from a to b, degrees clockwise from north in [0,360). It is 0 when
// the points are equal.
func Bearing(a, b Point) float64 {
	latA, latB, dLng := radians(a.Lat), radians(b.Lat), radians(b.Lng-a.Lng)
	y := math.Sin(dLng) * math.Cos(latB)
	x := math.Cos(latA)*math.Sin(latB) - math.Sin(latA)*math.Cos(latB)*math.Cos(dLng)
	return normalizeBearing(degrees(math.Atan2(y, x)))
}

// Move is the point reached from p after distanceM metres on the great circle that starts at bearing.
func Move(p Point, bearing, distanceM float64) Point {
	lat, course, angle := radians(p.Lat), radians(bearing), distanceM/EarthRadiusM
	sinLat := math.Sin(lat)*math.Cos(angle) + math.Cos(lat)*math.Sin(angle)*math.Cos(course)
	newLat := math.Asin(math.Max(-1, math.Min(1, sinLat)))
	dLng := math.Atan2(math.Sin(course)*math.Sin(angle)*math.Cos(lat), math.Cos(angle)-math.Sin(lat)*sinLat)
	return Point{Lat: degrees(newLat), Lng: normalizeLng(p.Lng + degrees(dLng))}
}

// Bounds is a box of latitudes and longitudes. It does not wrap the antimeridian: India does not.
type Bounds struct {
	MinLat, MaxLat float64
	MinLng, MaxLng float64
}

// BoundsOf is the smallest box around the points; the zero box when there are none.
func BoundsOf(points ...Point) Bounds {
	if len(points) == 0 {
		return Bounds{}
	}
	b := Bounds{MinLat: points[0].Lat, MaxLat: points[0].Lat, MinLng: points[0].Lng, MaxLng: points[0].Lng}
	for _, p := range points[1:] {
		b.MinLat, b.MaxLat = math.Min(b.MinLat, p.Lat), math.Max(b.MaxLat, p.Lat)
		b.MinLng, b.MaxLng = math.Min(b.MinLng, p.Lng), math.Max(b.MaxLng, p.Lng)
	}
	return b
}

// Around is a box that contains every point within radiusM metres of p. Near a pole it spans every
// longitude.
func Around(p Point, radiusM float64) Bounds {
	radiusM += 0.001 // a millimetre, so that rounding never leaves out a point on the edge
	dLat := degrees(radiusM / EarthRadiusM)
	b := Bounds{MinLat: math.Max(-90, p.Lat-dLat), MaxLat: math.Min(90, p.Lat+dLat), MinLng: -180, MaxLng: 180}
	ratio := math.Sin(radiusM/EarthRadiusM) / math.Cos(radians(p.Lat))
	if b.MinLat > -90 && b.MaxLat < 90 && ratio < 1 {
		dLng := degrees(math.Asin(ratio))
		b.MinLng, b.MaxLng = math.Max(-180, p.Lng-dLng), math.Min(180, p.Lng+dLng)
	}
	return b
}

// Contains tells whether p lies in b, its edges included.
func (b Bounds) Contains(p Point) bool {
	return p.Lat >= b.MinLat && p.Lat <= b.MaxLat && p.Lng >= b.MinLng && p.Lng <= b.MaxLng
}

func radians(deg float64) float64 { return deg * math.Pi / 180 }
func degrees(rad float64) float64 { return rad * 180 / math.Pi }

func normalizeBearing(deg float64) float64 {
	deg = math.Mod(deg+360, 360)
	if deg < 0 || deg >= 360 {
		return 0
	}
	return deg
}

func normalizeLng(deg float64) float64 {
	if deg >= -180 && deg <= 180 {
		return deg
	}
	return math.Mod(math.Mod(deg+180, 360)+360, 360) - 180
}
