package fleet

import (
	"regexp"
	"slices"
	"strings"

	"weelo/internal/fault"
)

// plate is an Indian registration number as the apps' contract has it: state, district, series, number.
var plate = regexp.MustCompile(`^[A-Z]{2}\d{1,2}[A-Z]{1,3}\d{1,4}$`)

// ParseNumber writes a registration number as it is stored: upper case, without spaces and hyphens.
// Anything that is no number plate is a VALIDATION_ERROR.
func ParseNumber(s string) (string, error) {
	n := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(s))
	if !plate.MatchString(n) {
		return "", fault.Invalid("vehicleNumber", "Enter a vehicle number like KA01AB1234.")
	}
	return n, nil
}

// Drivable gives the kinds of the vehicles that could drive, on a trip or not, sorted and distinct;
// and the first of those vehicles, nil: none could.
func Drivable(vehicles []Vehicle) (keys []string, first *Vehicle) {
	for i, v := range vehicles {
		if v.Status != VehicleAvailable {
			continue
		}
		if first == nil {
			first = &vehicles[i]
		}
		keys = append(keys, Key(v.Type, v.Subtype))
	}
	slices.Sort(keys)
	return slices.Compact(keys), first
}
