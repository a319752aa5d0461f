package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vectors are the wire strings of the official conformance suites (testdata/socketio-vectors).
type vectors struct {
	Exchanges []struct {
		Send         []json.RawMessage `json:"send"`
		Expect       []json.RawMessage `json:"expect"`
		ExpectPrefix string            `json:"expect_prefix"`
		AfterConnect bool              `json:"after_connect"`
	} `json:"exchanges"`
	MustClose       []string `json:"must_close_connection"`
	InvalidPayloads []string `json:"invalid_payloads"`
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "socketio-vectors", "exchanges.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// texts gives the text frames of a vector's list; binary frames are objects.
func texts(list []json.RawMessage) (out []string) {
	for _, raw := range list {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			out = append(out, s)
		}
	}
	return out
}

func TestDecodePacketReadsEveryVectorAndWritesItBack(t *testing.T) {
	t.Parallel()
	n := 0
	for _, exchange := range readVectors(t).Exchanges {
		for _, frame := range append(texts(exchange.Send), texts(exchange.Expect)...) {
			p, err := decodePacket([]byte(frame[1:]))
			if err != nil {
				t.Errorf("decodePacket(%q) = %v", frame, err)
				continue
			}
			n++
			want := frame
			if p.Namespace != rootNamespace && len(p.Data) == 0 && !strings.HasSuffix(frame, ",") {
				want += "," // a namespace may end the frame without its comma; we always write it
			}
			if got := string(encodePacket(p)); got != want {
				t.Errorf("round trip of %q = %q", frame, got)
			}
		}
	}
	if n < 12 {
		t.Errorf("only %d frames in the vectors", n)
	}
}

func TestDecodePacketRefusesTheInvalidPayloadsOfTheSuite(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	if len(v.InvalidPayloads) < 5 {
		t.Fatalf("only %d invalid payloads in the vectors", len(v.InvalidPayloads))
	}
	for _, text := range v.InvalidPayloads {
		frame, _, limited := strings.Cut(text, " with maxAttachments 2")
		if limited { // ours is the reference parser's default of 10
			frame = strings.Replace(frame, "53-", "511-", 1)
		}
		if _, err := decodePacket([]byte(frame)); !errors.Is(err, errMalformed) {
			t.Errorf("decodePacket(%q) = %v, want malformed", frame, err)
		}
	}
}

func TestDecodePacket(t *testing.T) {
	t.Parallel()
	good := map[string]packet{
		`0`:                                 {Type: packetConnect, Namespace: "/"},
		`0{"token":"a"}`:                    {Type: packetConnect, Namespace: "/", Data: []byte(`{"token":"a"}`)},
		`0/admin,{"a":1}`:                   {Type: packetConnect, Namespace: "/admin", Data: []byte(`{"a":1}`)},
		`1`:                                 {Type: packetDisconnect, Namespace: "/"},
		`2["a"]`:                            {Type: packetEvent, Namespace: "/", Data: []byte(`["a"]`)},
		`212["a",1]`:                        {Type: packetEvent, Namespace: "/", HasID: true, ID: 12, Data: []byte(`["a",1]`)},
		`2/x,0["a"]`:                        {Type: packetEvent, Namespace: "/x", HasID: true, Data: []byte(`["a"]`)},
		`39007199254740991[]`:               {Type: packetAck, Namespace: "/", HasID: true, ID: maxAckID, Data: []byte(`[]`)},
		`4{"message":"no"}`:                 {Type: packetConnectError, Namespace: "/", Data: []byte(`{"message":"no"}`)},
		`51-["a",{"_placeholder":true}]`:    {Type: packetBinaryEvent, Attachments: 1, Namespace: "/", Data: []byte(`["a",{"_placeholder":true}]`)},
		`61-/x,7[{"_placeholder":true}]`:    {Type: packetBinaryAck, Attachments: 1, Namespace: "/x", HasID: true, ID: 7, Data: []byte(`[{"_placeholder":true}]`)},
		"2 [\"white space is JSON's own\"]": {Type: packetEvent, Namespace: "/", Data: []byte(" [\"white space is JSON's own\"]")},
	}
	for frame, want := range good {
		got, err := decodePacket([]byte(frame))
		if err != nil {
			t.Errorf("decodePacket(%q) = %v", frame, err)
		}
		if len(got.Data) == 0 {
			got.Data = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("decodePacket(%q): %s", frame, diff)
		}
	}
	bad := []string{
		``, `7`, `9[]`, `a`, `2`, `2{}`, `2"a"`, `2["a"`, `2["a"]x`, `20`, `3["no id"]`, `31{}`, `0[]`, `0"x"`, `0null`, `1{}`, `1[]`,
		`4[]`, `442["some","data"`, `5["a"]`, `5-["a"]`, `51["a"]`, `511-["a"]`, `5-1-["a"]`, `2abc["a"]`, `29007199254740992["a"]`,
		`299999999999999999999999["a"]`, `2/` + strings.Repeat("n", maxNamespace) + `,["a"]`, "2[\"a\u0000\"", `2['a']`,
	}
	for _, frame := range bad {
		if _, err := decodePacket([]byte(frame)); !errors.Is(err, errMalformed) {
			t.Errorf("decodePacket(%q) = %v, want malformed", frame, err)
		}
	}
}

func TestDecodeEvent(t *testing.T) {
	t.Parallel()
	got, err := decodeEvent([]byte(`["join_booking","o1",{"a":[1]}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := event{Name: "join_booking", Args: []json.RawMessage{[]byte(`"o1"`), []byte(`{"a":[1]}`)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, data := range []string{`[]`, `[1]`, `[null]`, `[{}]`, `{}`, `["connect"]`, `["disconnect"]`, `["connect_error"]`, `["newListener"]`} {
		if _, err := decodeEvent([]byte(data)); !errors.Is(err, errMalformed) {
			t.Errorf("decodeEvent(%s) = %v, want malformed", data, err)
		}
	}
}

func TestAppendEvent(t *testing.T) {
	t.Parallel()
	if got := string(appendEvent(nil, "pong")); got != `42["pong"]` {
		t.Error(got)
	}
	if got := string(appendEvent(nil, "error", []byte(`{"message":"x"}`))); got != `42["error",{"message":"x"}]` {
		t.Error(got)
	}
}

// TestDecodePacketAgreesWithTheReferenceParser holds some thousand packets, sound and damaged,
// against the parser that the official JavaScript client ships. We never accept what it refuses;
// we refuse more only for the reasons that stricter() names.
func TestDecodePacketAgreesWithTheReferenceParser(t *testing.T) {
	t.Parallel()
	corpus := packetCorpus(rand.New(rand.NewSource(4)), 4000)
	input, err := json.Marshal(corpus)
	if err != nil {
		t.Fatal(err)
	}
	var reference []*struct {
		Type        packetType      `json:"type"`
		Nsp         string          `json:"nsp"`
		ID          *uint64         `json:"id"`
		Data        json.RawMessage `json:"data"`
		Attachments int             `json:"attachments"`
	}
	if err := json.Unmarshal(runNode(t, "decode.mjs", input), &reference); err != nil {
		t.Fatal(err)
	}
	both := 0
	for i, text := range corpus {
		p, err := decodePacket([]byte(text))
		if err == nil && (p.Type == packetEvent || p.Type == packetBinaryEvent) {
			_, err = decodeEvent(p.Data)
		}
		if p.Type >= packetBinaryEvent { // the reference holds a binary packet as the plain one it will become
			p.Type -= packetBinaryEvent - packetEvent
		}
		ref := reference[i]
		switch {
		case err == nil && ref == nil:
			t.Errorf("%q: we accept what the reference refuses", text)
		case err != nil && ref != nil && !stricter(text):
			t.Errorf("%q: we refuse (%v) what the reference accepts", text, err)
		case err == nil && ref != nil:
			both++
			sameID := p.HasID == (ref.ID != nil) && (ref.ID == nil || *ref.ID == p.ID)
			if p.Type != ref.Type || p.Namespace != ref.Nsp || !sameID || p.Attachments != ref.Attachments || !sameJSON(p.Data, ref.Data) {
				t.Errorf("%q: got %+v, reference %+v", text, p, *ref)
			}
		}
	}
	if both < len(corpus)/5 {
		t.Errorf("only %d of %d packets were sound: the corpus is too damaged to say much", both, len(corpus))
	}
}

// stricter says for what reason we refuse a packet that the reference parser lets through.
func stricter(text string) bool {
	kind, rest := text[0], text[1:]
	if kind == '5' || kind == '6' {
		if strings.HasPrefix(rest, "-") {
			return true // no number of attachments
		}
		_, rest, _ = strings.Cut(rest, "-")
	}
	if strings.HasPrefix(rest, "/") {
		_, rest, _ = strings.Cut(rest, ",")
	}
	payload := strings.TrimLeft(rest, "0123456789")
	if len(rest)-len(payload) > 15 {
		return true // an id that JavaScript cannot count exactly
	}
	switch kind {
	case '2', '5':
		return payload == "" || !strings.HasPrefix(payload, `["`) // names nothing, or with a number
	case '3', '6':
		return payload == "" || payload == rest // acknowledges nothing, or nobody
	default:
		return false
	}
}

// sameJSON compares two JSON texts by value; empty and null are the same.
func sameJSON(a, b []byte) bool {
	if len(a) == 0 {
		return len(b) == 0 || string(b) == "null"
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
}

// packetCorpus makes n packets: built by the grammar, every second one damaged in one place.
func packetCorpus(rnd *rand.Rand, n int) []string {
	payloads := []string{``, `[]`, `["a"]`, `["update_location",{"latitude":12.5,"x":null}]`, `{"token":"t"}`, `"text"`, `["a",[1,2,{"b":true}]]`, `{}`, `17`, `["é","\u00e9\n"]`, `["connect"]`, `[null]`}
	spaces := []string{``, ``, ``, `/admin,`, `/a?b=c,`, `/`}
	ids := []string{``, ``, `0`, `7`, `456`, `9007199254740991`}
	alphabet := []byte(`0123456789[]{}",:-/abtrue.`)
	corpus := make([]string, 0, n)
	for len(corpus) < n {
		kind := rnd.Intn(7)
		text := strconv.Itoa(kind)
		if kind >= 5 {
			text += strconv.Itoa(1+rnd.Intn(3)) + "-"
		}
		text += spaces[rnd.Intn(len(spaces))] + ids[rnd.Intn(len(ids))] + payloads[rnd.Intn(len(payloads))]
		if len(corpus)%2 == 1 {
			at := rnd.Intn(len(text))
			switch rnd.Intn(3) {
			case 0:
				text = text[:at] + text[at+1:]
			case 1:
				text = text[:at] + string(alphabet[rnd.Intn(len(alphabet))]) + text[at:]
			case 2:
				text = text[:at] + string(alphabet[rnd.Intn(len(alphabet))]) + text[at+1:]
			}
		}
		if text != "" {
			corpus = append(corpus, text)
		}
	}
	return corpus
}

// FuzzDecodePacket: never panics, and whatever is accepted means the same after a round trip.
func FuzzDecodePacket(f *testing.F) {
	v := readVectors(f)
	for _, exchange := range v.Exchanges {
		for _, frame := range append(texts(exchange.Send), texts(exchange.Expect)...) {
			f.Add([]byte(frame[1:]))
		}
	}
	for _, text := range append(v.InvalidPayloads, v.MustClose...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		p, err := decodePacket(frame)
		if err != nil {
			if !errors.Is(err, errMalformed) {
				t.Fatalf("untyped refusal: %v", err)
			}
			return
		}
		again, err := decodePacket(encodePacket(p)[1:])
		if err != nil {
			t.Fatalf("%q: written form refused: %v", frame, err)
		}
		if again.Type != p.Type || again.Namespace != p.Namespace || again.HasID != p.HasID || again.ID != p.ID ||
			again.Attachments != p.Attachments || !bytes.Equal(again.Data, p.Data) {
			t.Fatalf("%q: %+v became %+v", frame, p, again)
		}
		if p.Type == packetEvent {
			if e, err := decodeEvent(p.Data); err == nil && e.Name == "connect" {
				t.Fatal("a reserved name got through")
			}
		}
	})
}
