package track

// unknown is worse than every radius, speed or bearing a phone may report.
const unknown = 1e9

// Better tells whether a replaces b when both are fixes of one driver with the same ts: the better
// accuracy wins (0 is unknown and loses to any known one), then the smaller latitude, the smaller
// longitude, and so on through every field that is kept, so that no two different fixes tie and the
// order of arrival never shows. The time of receipt and the sender's counter take no part.
func Better(a, b Fix) bool {
	x, y := a.rank(), b.rank()
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

func (f Fix) rank() [6]float64 {
	rank := [6]float64{f.Accuracy, f.Lat, f.Lng, unknown, unknown, 0}
	if f.Accuracy <= 0 {
		rank[0] = unknown
	}
	if f.HasSpeed {
		rank[3] = f.Speed
	}
	if f.HasBearing {
		rank[4] = f.Bearing
	}
	if f.Mock {
		rank[5] = 1
	}
	return rank
}
