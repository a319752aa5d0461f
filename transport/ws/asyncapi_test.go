package ws_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"weelo/actors/protocol"
	"weelo/internal/fleet"
	"weelo/transport/ws"
)

// description is the served document with its schemas compiled.
type description struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
}

func describe(t *testing.T) *description {
	t.Helper()
	w := httptest.NewRecorder()
	ws.AsyncAPI().ServeHTTP(w, httptest.NewRequest("GET", "/asyncapi.json", nil))
	doc, err := jsonschema.UnmarshalJSON(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7) // what AsyncAPI 3 builds on
	if err := c.AddResource("asyncapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return &description{doc.(map[string]any), c}
}

func (d *description) schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := d.compiler.Compile("asyncapi.json#/components/schemas/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check holds one frame against the schema of its t and gives the t.
func (d *description) check(t *testing.T, frame string) string {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(frame))
	if err != nil {
		t.Fatalf("%s: %v", frame, err)
	}
	name, _ := v.(map[string]any)["t"].(string)
	if err := d.schema(t, name).Validate(v); err != nil {
		t.Errorf("%s: %v", frame, err)
	}
	return name
}

func (d *description) messages(operation string) []string {
	refs := d.doc["operations"].(map[string]any)[operation].(map[string]any)["messages"].([]any)
	var names []string
	for _, r := range refs {
		names = append(names, filepath.Base(r.(map[string]any)["$ref"].(string)))
	}
	sort.Strings(names)
	return names
}

// TestServerFramesAreAsDescribed captures a frame of every kind from a running server.
func TestServerFramesAreAsDescribed(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		d := describe(t)
		captured := map[string]bool{}
		note := func(frames ...string) {
			for _, f := range frames {
				captured[d.check(t, f)] = true
			}
		}
		driver := s.open(t)
		driver.send(fmt.Sprintf(`{"t":"hello","token":%q}`, s.login("D1", fleet.Driver, time.Hour)))
		note(driver.read())
		driver.send(fmt.Sprintf(`{"t":"fixes","id":"b1","fixes":[{"ts":%d,"lat":12.9,"lng":77.5},{}]}`, time.Now().UnixMilli()))
		note(driver.read())
		driver.send(fmt.Sprintf(`{"t":"auth","token":%q}`, s.login("D1", fleet.Driver, time.Hour)))
		note(driver.read())
		driver.send(`{"t":"ping"}`)
		note(driver.read())
		driver.send(`{"t":"nonsense"}`)
		note(driver.read())

		s.deliver(1)
		customer := s.open(t)
		customer.send(fmt.Sprintf(`{"t":"hello","token":%q,"resume":{"stream":"s0","seq":1}}`, s.login("C1", fleet.Customer, time.Hour)))
		note(customer.read(), customer.read(), customer.read()) // welcome, trip, synced
		s.hub.Deliver([]protocol.Delivery{s.deliver(2)})
		note(customer.read())
		customer.send(`{"t":"replay","from":1}`)
		note(customer.read(), customer.read(), customer.read())
		s.hub.Notify("C1", "driver_connectivity", map[string]any{"online": false})
		note(customer.read())
		s.hub.Offers([]protocol.OfferFrame{{Transporter: "C1", ID: "o2", Version: 1, Data: []byte(`{}`)}})
		note(customer.read())
		customer.send(`{"t":"watch","id":"w","trip":"trip-1"}`)
		note(customer.read())
		synctest.Wait()
		s.hub.Position(position(7))
		note(customer.read())
		v := view("trip-1")
		v.Live, v.EndedMS, v.OrderID = nil, time.Now().UnixMilli(), ""
		s.hub.TripChanged(v)
		note(customer.read())
		s.hub.TripEnded(protocol.TripEnded{TripID: "trip-1", Reason: "ended"})
		note(customer.read())
		go func() { _ = s.hub.Drain(t.Context(), time.Second, time.Second) }()
		_, last := customer.end()
		note(last...)

		var got []string
		for name := range captured {
			got = append(got, name)
		}
		sort.Strings(got)
		if diff := cmp.Diff(d.messages("fromServer"), got); diff != "" {
			t.Errorf("frames captured (-described +captured):\n%s", diff)
		}
	})
}

// TestClientFramesAreAsDescribed holds the recorded frames of phones against the description.
func TestClientFramesAreAsDescribed(t *testing.T) {
	t.Parallel()
	d := describe(t)
	files, err := filepath.Glob("../wire/testdata/client_*.json")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		seen[d.check(t, string(bytes.TrimSpace(b)))] = true
	}
	for _, name := range d.messages("fromClient") {
		if !seen[name] {
			t.Errorf("no recorded frame of %s", name)
		}
	}
}

// TestDescriptionRefusesBadFrames is the control: the schemas are not empty.
func TestDescriptionRefusesBadFrames(t *testing.T) {
	t.Parallel()
	d := describe(t)
	for _, frame := range []string{
		`{"t":"fix","ts":1,"lat":91,"lng":1}`, `{"t":"fix","lat":9,"lng":1}`, `{"t":"watch"}`, `{"t":"pos","p":[]}`,
		`{"t":"ack","re":"b"}`, `{"t":"error","re":7,"code":"X","message":"","retryable":false}`,
	} {
		var v map[string]any
		if err := json.Unmarshal([]byte(frame), &v); err != nil {
			t.Fatal(err)
		}
		if d.schema(t, v["t"].(string)).Validate(v) == nil {
			t.Errorf("%s is allowed", frame)
		}
	}
}
