package phone_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"weelo/internal/phone"
)

func TestParseCanonicalises(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"9876543210", "+919876543210", "919876543210", "09876543210",
		"98765 43210", "+91 98765-43210", " 9876543210 ", "+91-9876543210",
	} {
		n, err := phone.Parse(in)
		if err != nil || n.E164() != "+919876543210" || n.National() != "9876543210" {
			t.Errorf("Parse(%q) = %q, %v", in, n.E164(), err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "12345", "+14155550123", "5876543210", "0000000000", "98765:43210", "{9876543210}",
		"९८७६५४३२१०", "98765432१०", "9876543210x5", "9876543210\x00", "98765432101", "++919876543210",
		"91 9876543210 +", "+09876543210", "+9876543210", "0919876543210", "9876543210\n",
		strings.Repeat("-", 30) + "9876543210",
	} {
		if n, err := phone.Parse(in); !errors.Is(err, phone.ErrInvalid) || n != "" {
			t.Errorf("Parse(%q) = %q, %v; want ErrInvalid", in, n.E164(), err)
		}
	}
}

// Every country has one valid example number; of all of them only India's is served.
func TestOnlyIndiaIsServed(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/phone-numbers/examples.mobile.json")
	if err != nil {
		t.Fatal(err)
	}
	var examples map[string]string
	if err := json.Unmarshal(raw, &examples); err != nil {
		t.Fatal(err)
	}
	if len(examples) < 200 {
		t.Fatalf("only %d examples", len(examples))
	}
	in, err := phone.Parse("+91" + examples["IN"])
	if err != nil || in.National() != examples["IN"] {
		t.Fatalf("India's own example %q: %v", examples["IN"], err)
	}
	// A few national numbers elsewhere have ten digits and begin with 6 to 9: without a country code
	// they are Indian numbers by definition. With a foreign code none is.
	for country, national := range examples {
		if country == "IN" {
			continue
		}
		for _, code := range []string{"+1", "+44", "+86", "+880", "+92"} {
			if n, err := phone.Parse(code + national); err == nil {
				t.Errorf("%s: %s%s was taken for %s", country, code, national, n.E164())
			}
		}
	}
}

func TestNothingPrintsANumber(t *testing.T) {
	t.Parallel()
	n, err := phone.Parse("9876543210")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&log, nil))
	l.Info("code sent", "phone", n, "group", slog.GroupValue(slog.Any("to", n)))
	printed := log.String() + fmt.Sprintf("%v %s %+v", n, n, struct{ P phone.Number }{n})
	if strings.Contains(printed, "987654") || !strings.Contains(printed, "+91******3210") {
		t.Fatalf("leaks or lacks the mask: %s", printed)
	}
	if got := n.Hint(); got != "98****210" {
		t.Fatalf("hint = %q", got)
	}
	if z := phone.Number(""); z.National() != "" || z.Hint() != "" || z.Masked() != "invalid" {
		t.Fatal("the zero number must be harmless")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"9876543210", "+91 98765 43210", "0-9876543210", "९८७६५४३२१०", "98765:43210"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := phone.Parse(s)
		if err != nil {
			if n != "" {
				t.Fatalf("refused, yet %q", n.E164())
			}
			return
		}
		again, err := phone.Parse(n.E164())
		if err != nil || again != n || len(n.National()) != 10 || n.National()[0] < '6' {
			t.Fatalf("%q → %q is not a fixed point: %q, %v", s, n.E164(), again.E164(), err)
		}
		if masked := phone.Mask(s); !strings.Contains(masked, n.Masked()) {
			t.Fatalf("%q is %s, and %q after masking", s, n.Masked(), masked)
		}
	})
}

func TestMask(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"9876543210":                             "+91******3210",
		"+919876543210":                          "+91******3210",
		"919876543210":                           "+91******3210",
		"09876543210":                            "+91******3210",
		"98765 43210":                            "+91******3210",
		"+91 98765-43210":                        "+91******3210",
		"+91-9876-543-210.":                      "+91******3210.",
		"91 98765432 10":                         "+91******3210",
		"to +91 9876543210 failed":               "to +91******3210 failed",
		"otp:9876543210:transporter":             "otp:+91******3210:transporter",
		"driver_9876543210_x":                    "driver_+91******3210_x",
		"GET /users/%2B919876543210?x=1":         "GET /users/%2B+91******3210?x=1",
		"q=98765%2043210&r=98765+43210":          "q=+91******3210&r=+91******3210",
		"9876543210, 9123456789":                 "+91******3210, +91******6789",
		"9876543210 9123456789":                  "+91******3210 +91******6789",
		"the phone (9876543210) is not known":    "the phone (+91******3210) is not known",
		`{"to":"+919876543210","code":"000000"}`: `{"to":"+91******3210","code":"000000"}`,
		"1732489200123":                          "1732489200123",
		"98765432101":                            "98765432101",
		"5876543210":                             "5876543210",
		"0.9876543210":                           "0.9876543210",
		"deadbeef9876543210":                     "deadbeef9876543210",
		"9876543210ab":                           "9876543210ab",
		"3f2504e0-4f89-11d3-9a0c-0305e82c3301":   "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
		"2026-11-25T09:08:07.123456789Z":         "2026-11-25T09:08:07.123456789Z",
		"+91******3210":                          "+91******3210",
		"+":                                      "+",
		"a text as long as a phone +":            "a text as long as a phone +",
		"short":                                  "short",
		"":                                       "",
	} {
		if got := phone.Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
}
