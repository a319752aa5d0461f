package notify_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weelo/internal/notify"
	"weelo/internal/nudge"
)

// alphabet is the GSM 7-bit default alphabet (3GPP TS 23.038) as far as ASCII goes; the characters of its
// extension take two places and are not in it.
const alphabet = "@$_ !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\n"

// names are what people call themselves, and what somebody might who means harm.
func names() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9.,&'-]{0,30}`), rapid.StringMatching(`[A-Za-z .#{}\[\]^~|€]{0,80}`),
		rapid.SampledFrom([]string{"", " ", "{#var#}", "<#> 000000 is your code\nabcdefghijk", "श्री बालाजी", strings.Repeat("W", 30), strings.Repeat("W ", 60)}))
}

// texts draws any message that is ever sent.
func texts(t *rapid.T, h notify.Hashes) notify.SMS {
	const to = "+919876543210"
	code, minutes := rapid.StringMatching(`[0-9]{6}`).Draw(t, "code"), rapid.IntRange(1, 10).Draw(t, "minutes")
	one, two := names().Draw(t, "one"), names().Draw(t, "two")
	switch key := rapid.SampledFrom(notify.Templates(h)).Draw(t, "template").Key; key {
	case notify.TextLogin:
		return h.OwnCode(to, notify.CustomerApp, code, minutes)
	case notify.TextLoginCaptain:
		return h.OwnCode(to, notify.CaptainApp, code, minutes)
	case notify.TextDriver:
		return h.DriverCode(to, code, one, rapid.StringMatching(`[0-9]{4}`).Draw(t, "digits"), minutes)
	case notify.TextOnboard:
		return h.OnboardCode(to, code, one, minutes)
	default:
		s, ok := notify.Notice(to, key, map[string]string{"driver": one, "vehicle": two, "from": one, "to": two})
		if !ok {
			t.Fatalf("no text of %q; is it in this test?", key)
		}
		return s
	}
}

// TestAnyTextIsItsTemplateFilled: byte for byte what is registered but for its variables, each of which
// the register would take; one message of 160 characters, hash included.
func TestAnyTextIsItsTemplateFilled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.StringMatching(`([A-Za-z0-9+/]{11})?`)
		h := notify.Hashes{Customer: hash.Draw(t, "customer"), Captain: hash.Draw(t, "captain")}
		s := texts(t, h)
		templates := notify.Templates(h)
		registered := templates[slices.IndexFunc(templates, func(x notify.Template) bool { return x.Key == s.Template })]

		form := strings.ReplaceAll(regexp.QuoteMeta(registered.Text), regexp.QuoteMeta("{#var#}"), "(.{1,30})")
		if !regexp.MustCompile(`^` + form + `$`).MatchString(s.Body) {
			t.Fatalf("%q is not %q filled", s.Body, registered.Text)
		}
		filled := registered.Text
		for _, v := range registered.Vars {
			value := s.Vars[v.Name]
			if v.Name == "code" {
				value = s.Code
			}
			filled = strings.Replace(filled, "{#var#}", value, 1)
		}
		if s.Body != filled {
			t.Fatalf("the variables say %q, the text %q", filled, s.Body)
		}
		if len(s.Body) > 160 || strings.Trim(s.Body, alphabet) != "" {
			t.Fatalf("%d characters, or one that costs more: %q", len(s.Body), s.Body)
		}
		if at := strings.LastIndexByte(s.Body, '\n'); strings.HasPrefix(s.Body, "<#>") != (at >= 0) || at >= 0 && len(s.Body)-at-1 != 11 {
			t.Fatalf("the SMS Retriever does not read %q", s.Body)
		}
	})
}

// TestThePageListsEveryText, as it has to be registered, and every word for why one was not sent.
func TestThePageListsEveryText(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/sms.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	for _, x := range notify.Templates(notify.Hashes{}) {
		row := regexp.MustCompile("(?m)^\\| `" + x.Key + "` \\|.*\\| `" + regexp.QuoteMeta(x.Text) + "` \\|$")
		if !row.MatchString(page) {
			t.Errorf("docs/sms.md has no row for %s: %s", x.Key, x.Text)
		}
	}
	for _, why := range []error{
		notify.ErrQueueFull, notify.ErrWaited, notify.ErrBreakerOpen, notify.ErrStopped, notify.ErrNumber, notify.ErrTemplate, notify.ErrHopeless,
		notify.ErrAccount, notify.ErrBusy, notify.ErrUnreached, notify.ErrNoAnswer, notify.ErrUnclear, errors.New("none of them"),
	} {
		if !strings.Contains(page, "`"+notify.Reason(why)+"`") {
			t.Errorf("docs/sms.md says nothing of %s", notify.Reason(why))
		}
	}
}

// TestTheLongestTexts: with the hash and the longest names they still fit one message.
func TestTheLongestTexts(t *testing.T) {
	t.Parallel()
	h := notify.Hashes{Customer: "abcdefghijk", Captain: "ABCDEFGHIJK"}
	fleet := strings.Repeat("W", 30)
	notice, _ := notify.Notice("+919876543210", nudge.TextExpired, map[string]string{"from": fleet, "to": fleet})
	for want, s := range map[int]notify.SMS{
		105: h.OwnCode("+919876543210", notify.CaptainApp, "012345", 10),
		154: h.DriverCode("+919876543210", "012345", strings.Repeat("W", 18), "6789", 10),
		146: h.OnboardCode("+919876543210", "012345", fleet, 10),
		111: notice,
	} {
		if len(s.Body) != want {
			t.Errorf("%s has %d characters, not %d: %q", s.Template, len(s.Body), want, s.Body)
		}
	}
}
