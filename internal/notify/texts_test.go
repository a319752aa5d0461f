package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/notify"
	"weelo/internal/nudge"
)

type people map[fleet.UserID]string

func (p people) User(_ context.Context, id fleet.UserID) (fleet.User, error) {
	switch id {
	case "away":
		return fleet.User{}, errors.New("the database is away")
	case "gone":
		return fleet.User{}, fleet.ErrNoUser
	}
	return fleet.User{ID: id, Phone: p[id]}, nil
}

var accepted = nudge.Text{Template: nudge.TextAccepted, Vars: map[string]string{"driver": "Suresh", "vehicle": "KA01AB1234"}}

// TestTextsAreDelivered to the person's phone, until the provider has taken them.
func TestTextsAreDelivered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, to string
		class    notify.Class
		err      error
		sent     int
		settled  bool
	}{
		{"accepted", "asha", notify.Accepted, nil, 1, true},
		{"refused", "asha", notify.Refused, errors.New("busy"), 1, false},
		{"perhaps", "asha", notify.Undecided, errors.New("no answer"), 1, false},
		{"who is gone needs none", "gone", notify.Accepted, nil, 0, true},
		{"nobody knows who it is", "away", notify.Accepted, nil, 0, false},
	} {
		var got []notify.SMS
		texts := &notify.Texts{People: people{"asha": "+919876543210"}, Sender: provider(func(_ context.Context, s notify.SMS) (notify.Class, error) {
			got = append(got, s)
			return c.class, c.err
		})}
		err := texts.Deliver(t.Context(), accepted.Message("1", fleet.UserID(c.to), time.Now().Add(time.Minute)))
		if (err == nil) != c.settled || len(got) != c.sent {
			t.Errorf("%s: %v, sent %v", c.name, err, got)
		}
		if c.sent == 1 {
			want := notify.SMS{To: "+919876543210", Body: "Weelo: Suresh (KA01AB1234) has accepted your order.", Template: accepted.Template, Vars: accepted.Vars}
			if diff := cmp.Diff(want, got[0]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	}
	texts := &notify.Texts{People: people{}}
	if err := texts.Deliver(t.Context(), ledger.Message{Body: []byte("[]")}); !errors.Is(err, notify.ErrHopeless) {
		t.Errorf("no text: %v", err)
	}
}

// TestMSG91Texts: a text fills the template that is registered for it, and none without.
func TestMSG91Texts(t *testing.T) {
	t.Parallel()
	var path string
	var got map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, `{"type":"success"}`)
	}))
	defer server.Close()
	m, err := notify.NewMSG91(notify.MSG91Config{
		AuthKey: "key", SenderID: "WEELO", BaseURL: server.URL,
		Templates: notify.TemplateIDs{notify.TextLogin: "otp", nudge.TextAccepted: "template-a"},
	}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	s := notify.SMS{To: "+919876543210", Body: "Weelo: Suresh (KA01AB1234) has accepted your order.", Template: accepted.Template, Vars: accepted.Vars}
	if class, err := m.Send(t.Context(), s); class != notify.Accepted || err != nil {
		t.Fatal(class, err)
	}
	want := map[string]any{
		"template_id": "template-a", "sender": "WEELO", "short_url": "0",
		"recipients": []any{map[string]any{"mobiles": "919876543210", "driver": "Suresh", "vehicle": "KA01AB1234"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || path != "/api/v5/flow" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
	m, err = notify.NewMSG91(notify.MSG91Config{
		AuthKey: "key", SenderID: "WEELO", BaseURL: server.URL, Reports: true,
		Templates: notify.TemplateIDs{notify.TextLogin: "otp", nudge.TextAccepted: "template-a"},
	}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range []struct {
		sms notify.SMS
		in  func() any
	}{
		{s, func() any { return got["recipients"].([]any)[0].(map[string]any)["CRQID"] }},
		{notify.Hashes{}.OnboardCode(s.To, "123456", "Roadlines", 10), func() any { return got["CRQID"] }},
	} {
		got = nil
		if class, err := m.Send(t.Context(), each.sms); class != notify.Accepted || each.in() != each.sms.Template {
			t.Errorf("%v, %v: %v does not ask for its report", class, err, got)
		}
	}
	s.Template = nudge.TextExpired
	if class, err := m.Send(t.Context(), s); class != notify.Refused || !errors.Is(err, notify.ErrHopeless) {
		t.Errorf("without a template: %s, %v", class, err)
	}
}

// TestEachTextIsItsTemplateFilled, byte for byte, in one message even with the longest values.
func TestEachTextIsItsTemplateFilled(t *testing.T) {
	t.Parallel()
	const to, long = "+919876543210", "A name of thirty characters ok"
	h := notify.Hashes{Customer: "abcdefghijk", Captain: "ABCDEFGHIJK"}
	sent := []notify.SMS{
		h.OwnCode(to, notify.CustomerApp, "012345", 10), h.OwnCode(to, notify.CaptainApp, "012345", 10),
		h.DriverCode(to, "012345", "Venkateswaran S", "6789", 10), h.OnboardCode(to, "012345", long, 10),
	}
	for key, vars := range map[string]map[string]string{
		nudge.TextAccepted: {"driver": long, "vehicle": "KA01AB1234"}, nudge.TextExpired: {"from": long, "to": long},
	} {
		s, ok := notify.Notice(to, key, vars)
		if !ok {
			t.Fatalf("no template %s", key)
		}
		sent = append(sent, s)
	}
	templates := notify.Templates(h)
	if len(templates) != len(sent) {
		t.Fatalf("%d templates and %d texts", len(templates), len(sent))
	}
	for _, s := range sent {
		i := slices.IndexFunc(templates, func(x notify.Template) bool { return x.Key == s.Template })
		want := templates[i].Text
		for _, v := range templates[i].Vars {
			value := s.Vars[v.Name]
			if v.Name == "code" {
				value = s.Code
			}
			want = strings.Replace(want, "{#var#}", value, 1)
		}
		if s.Body != want || len(s.Body) > 160 {
			t.Errorf("%s, %d characters: %q, want %q", s.Template, len(s.Body), s.Body, want)
		}
	}
}
