package nudge_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/nudge"
)

func TestPushIsCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ਪ", 300)
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.FixedZone("IST", 19800))
	m := nudge.Push{
		Type: "trip_assigned", Title: long, Body: long, Tag: "t",
		Data: map[string]string{"pickupAddress": long, "note": long, "short": "ਪ", "type": "another"},
	}.Message("id-1", "user-1", at)
	var got nudge.Push
	if err := json.Unmarshal(m.Body, &got); err != nil {
		t.Fatal(err)
	}
	lengths := map[string]int{"title": utf8.RuneCountInString(got.Title), "body": utf8.RuneCountInString(got.Body)}
	for key, v := range got.Data {
		lengths[key] = utf8.RuneCountInString(v)
	}
	want := map[string]int{"title": 100, "body": 200, "pickupAddress": 100, "note": 200, "short": 1, "type": len("trip_assigned")}
	if diff := cmp.Diff(want, lengths); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.HasSuffix(got.Title, "ਪ…") || m.Channel != nudge.PushChannel || m.To != "user-1" || m.ID != "id-1" || !m.Deadline.Equal(at) {
		t.Errorf("%+v", m)
	}
}

func TestTextIsCut(t *testing.T) {
	t.Parallel()
	m := nudge.Text{Template: nudge.TextExpired, Vars: map[string]string{"from": strings.Repeat("y", 31)}}.
		Message("id-1", "user-1", time.UnixMilli(1))
	var got nudge.Text
	if err := json.Unmarshal(m.Body, &got); err != nil {
		t.Fatal(err)
	}
	want := nudge.Text{Template: nudge.TextExpired, Vars: map[string]string{"from": strings.Repeat("y", 29) + "…"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if m.Channel != nudge.TextChannel || m.Type != nudge.TextExpired {
		t.Errorf("%+v", m)
	}
}
