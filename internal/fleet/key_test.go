package fleet_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weelo/internal/fleet"
)

func TestAKeyIsTheSameForEverySpelling(t *testing.T) {
	t.Parallel()
	for key, spellings := range map[string][][2]string{
		"open_17ft": {{"open", "17 Feet"}, {"Open", "17 feet"}, {"OPEN", "17ft"}, {" open ", "17 Ft"}, {"open", " 17  FOOT"}, {"open", "17-feet"},
			{"open", "17_ft"}, {"open", "17'"}, {"open", "Open 17 Feet"}, {"open", "open truck - 17 ft."}, {"open", "17 Ft truck"}},
		"open_10wheeler":              {{"open", "10 Wheeler"}, {"open", "10-wheeler"}, {"open", "10 wheels"}, {"open", "10wheelers"}},
		"lcv_open14ft":                {{"lcv", "LCV Open - 14 Feet"}, {"LCV", "Open 14ft"}, {"lcv", "open-14-foot"}},
		"lcv_container32ftsingleaxle": {{"lcv", "LCV Container - 32 Feet SXL"}, {"lcv", "container 32ft single axle"}},
		"container_32ftmultiaxle":     {{"container", "32 Feet Multi Axle"}, {"container", "32 ft MXL"}, {"container", "32 ft multi-axle"}},
		"trailer_8-11ton":             {{"trailer", "8-11 Ton"}, {"trailer", "8 – 11 tonnes"}, {"trailer", "8 to 11 T"}, {"Trailer", "8-11 Ton Trailer"}, {"trailer", "8 - 11MT"}},
		"trailer_42+ton":              {{"trailer", "42+ Ton"}, {"trailer", "42 plus tons"}, {"trailer", "42 + ton"}},
		"mini_pickupdost":             {{"mini", "Pickup Truck - Dost"}, {"mini", "pickup dost"}},
		"mini_tataace":                {{"mini", "Mini Truck - Tata Ace"}, {"mini", "Tata Ace"}},
		"tractor_tractor":             {{"tractor", "Tractor"}, {"tractor", " tractor "}},
	} {
		for _, s := range spellings {
			if got := fleet.Key(s[0], s[1]); got != key {
				t.Errorf("%q %q: %q, want %q", s[0], s[1], got, key)
			}
		}
	}
}

func TestDifferentTrucksHaveDifferentKeys(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, k := range fleet.Catalogue() {
		for _, s := range k.Subtypes {
			key := fleet.Key(k.Type, s.Name)
			if other, taken := seen[key]; taken {
				t.Errorf("%s %s and %s have the key %q", k.Type, s.Name, other, key)
			}
			seen[key] = k.Type + " " + s.Name
			if got, ok := fleet.SubtypeOf(strings.ToUpper(k.Type), strings.ToLower(s.Name)); !ok || got != s {
				t.Errorf("%s %s is not found: %v", k.Type, s.Name, got)
			}
		}
	}
	if len(seen) != 65 {
		t.Errorf("%d subtypes, want 65", len(seen))
	}
}

func TestCaseAndSpacesNeverChangeAKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"17", "feet", "ft", "open", "ton", "8", "11", "-", "+", "wheeler", "truck", "axle", "sxl"}), 1, 6).Draw(t, "words")
		tight, loose := strings.Join(words, " "), "  "+strings.ToUpper(strings.Join(words, "   "))+" "
		if a, b := fleet.Key("open", tight), fleet.Key("OPEN ", loose); a != b {
			t.Fatalf("%q is %q and %q is %q", tight, a, loose, b)
		}
	})
}

func TestTheCatalogueIsSound(t *testing.T) {
	t.Parallel()
	for _, k := range fleet.Catalogue() {
		if k.Base <= 0 || k.PerKM <= 0 || k.PerTonKM < 0 || k.Minimum <= 0 || k.Floor < 500 {
			t.Errorf("%s: %+v", k.Type, k)
		}
		if got, ok := fleet.KindOf(" " + strings.ToUpper(k.Type)); !ok || got.Type != k.Type {
			t.Errorf("%s is not found", k.Type)
		}
		for _, s := range k.Subtypes {
			if s.Tons < s.MinTons || s.MinTons <= 0 || s.Multiplier < 0.9 || s.Multiplier > 2.5 {
				t.Errorf("%s %+v", k.Type, s)
			}
		}
	}
	if _, ok := fleet.KindOf("rocket"); ok {
		t.Error("a rocket is found")
	}
	if got := [3]float64{fleet.CapacityTons("open", "17ft"), fleet.CapacityTons("trailer", "42+ ton"), fleet.CapacityTons("open", "99 feet")}; got != [3]float64{7, 50, 10} {
		t.Errorf("capacities %v", got)
	}
}
