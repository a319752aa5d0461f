package fleet_test

import (
	"testing"

	"pgregory.net/rapid"

	"weelo/internal/fault"
	"weelo/internal/fleet"
)

func TestNumberPlates(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"KA01AB1234": "KA01AB1234", "ka 01 ab 1234": "KA01AB1234", "MH-12-C-7": "MH12C7", "DL1ZZZ9999": "DL1ZZZ9999",
		"": "", "KA01": "", "K101AB1234": "", "KA01AB12345": "", "KA01ABCD1234": "", "ＫＡ01AB1234": "", "KA01AB1234; DROP": "",
	} {
		got, err := fleet.ParseNumber(typed)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", typed, got, err, want)
		}
		if err != nil && fault.From(err).Reason != "VALIDATION_ERROR" {
			t.Errorf("%q: refused with %v", typed, err)
		}
	}
}

func TestANumberPlateIsCanonical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		once, err := fleet.ParseNumber(rapid.String().Draw(t, "typed"))
		if err != nil {
			return
		}
		if twice, err := fleet.ParseNumber(once); err != nil || twice != once {
			t.Fatalf("%q became %q, %v", once, twice, err)
		}
	})
}
