package notify

import (
	"slices"
	"strconv"
	"strings"

	"weelo/internal/nudge"
	"weelo/internal/phone"
)

// Template is the text of one kind of message as it is registered with India's operators (DLT). They
// drop what differs from it by a byte, so nothing is sent but a template filled.
type Template struct {
	Key  string
	Text string // {#var#} stands for the values, in the order of Vars
	Vars []Var
}

// Var is one place in a template. Values are at most 30 characters of the GSM alphabet, as the register
// and a message of 160 characters want it; Else stands in for one of which nothing is left.
type Var struct{ Name, Else string }

// The keys of templates. Those of texts that are no codes are nudge's.
const (
	TextLogin        = "login"         // one's own login, in the customer app
	TextLoginCaptain = "login_captain" // the same in the Captain app: the same words, another hash
	TextDriver       = "driver_login"  // to a transporter: one of his drivers logs in
	TextOnboard      = "onboard"       // to a driver: a transporter wants him in the fleet
)

const (
	placeholder = "{#var#}"
	varMost     = 30
)

var (
	varCode    = Var{Name: "code"}
	varMinutes = Var{Name: "minutes"}
)

const ownText = placeholder + " is your Weelo login code. It is valid for " + placeholder + " minutes. Do not share it with anyone."

// templates are all texts that are ever sent.
var templates = []Template{
	{TextLogin, ownText, []Var{varCode, varMinutes}},
	{TextLoginCaptain, ownText, []Var{varCode, varMinutes}},
	// It names the driver, because several may log in at once and because a stranger may ask for the
	// code by phone.
	{TextDriver, placeholder + " is the Weelo login code for " + placeholder + " (number ending " + placeholder + "). Give it only to this driver. Valid for " +
		placeholder + " minutes.", []Var{varCode, {"driver", "your driver"}, {Name: "digits"}, varMinutes}},
	// It names the fleet, because the code is the driver's consent.
	{TextOnboard, placeholder + " is the code to join the fleet of " + placeholder + " on Weelo. Tell it only if you want to drive for them. Valid for " +
		placeholder + " minutes.", []Var{varCode, {"fleet", "a transporter"}, varMinutes}},
	{nudge.TextAccepted, "Weelo: " + placeholder + " (" + placeholder + ") has accepted your order.", []Var{{"driver", "a driver"}, {"vehicle", "truck"}}},
	{nudge.TextExpired, "Weelo: no truck was found for your order from " + placeholder + " to " + placeholder + ".", []Var{{"from", "the pickup"}, {"to", "the drop"}}},
}

// Templates gives all texts as they have to be registered, with the apps' hashes.
func Templates(h Hashes) []Template {
	out := slices.Clone(templates)
	for i := range out {
		out[i].Text = retrievable(out[i].Text, h.of(out[i].Key))
	}
	return out
}

func template(key string) (Template, bool) {
	i := slices.IndexFunc(templates, func(t Template) bool { return t.Key == key })
	if i < 0 {
		return Template{}, false
	}
	return templates[i], true
}

// carriesCode tells codes from other texts.
func (t Template) carriesCode() bool { return slices.Contains(t.Vars, varCode) }

// fill puts values in the places of a text, and answers the values as they were put.
func (t Template) fill(values map[string]string) (body string, used map[string]string) {
	var b strings.Builder
	used = make(map[string]string, len(t.Vars))
	rest := t.Text
	for _, v := range t.Vars {
		before, after, _ := strings.Cut(rest, placeholder)
		value := plain(values[v.Name])
		if value == "" {
			value = v.Else
		}
		used[v.Name] = value
		b.WriteString(before + value)
		rest = after
	}
	return b.String() + rest, used
}

// gsm is the part of the GSM 7-bit alphabet that keyboards have, one septet each. Letters with
// accents are left out: they come in several spellings.
const gsm = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,-'&()/+:;!?\"#%*<>=@_$"

// plain makes a value one that fits: other characters become one space, and 30 are enough.
func plain(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || !strings.ContainsRune(gsm, r) }), " ")
	if len(s) > varMost {
		s = strings.TrimRight(s[:varMost], " ")
	}
	return s
}

// Hashes are the SMS Retriever hashes of the two apps (11 characters, from each app's signing key).
// With one, Android gives the message to the app by itself. They are fixed text of the templates.
type Hashes struct {
	Customer string // SMS_RETRIEVER_HASH_CUSTOMER
	Captain  string // SMS_RETRIEVER_HASH_CAPTAIN: transporters and drivers
}

// of gives the hash of the app that a template is for, "" when no app reads it: the code by which a driver
// joins a fleet is told to his transporter.
func (h Hashes) of(key string) string {
	switch key {
	case TextLogin:
		return h.Customer
	case TextLoginCaptain, TextDriver:
		return h.Captain
	default:
		return ""
	}
}

// retrievable frames a message as the SMS Retriever wants it: "<#>" first, the hash on a last line.
func retrievable(text, hash string) string {
	if hash == "" {
		return text
	}
	return "<#> " + text + "\n" + hash
}

// App is whose hash a message about one's own login carries.
type App bool

// The two apps.
const (
	CustomerApp App = false
	CaptainApp  App = true
)

// OwnCode is the message with the code of one's own login. minutes is its life.
func (h Hashes) OwnCode(to phone.Number, app App, code string, minutes int) SMS {
	key := TextLogin
	if app == CaptainApp {
		key = TextLoginCaptain
	}
	return h.code(to, key, code, map[string]string{"minutes": strconv.Itoa(minutes)})
}

// DriverCode is the message to a transporter with the code of a driver's login; lastDigits are the
// driver's number's.
func (h Hashes) DriverCode(to phone.Number, code, firstName, lastDigits string, minutes int) SMS {
	who := "your driver"
	if name := plain(firstName); name != "" && len(who)+1+len(name) <= varMost {
		who += " " + name
	}
	return h.code(to, TextDriver, code, map[string]string{"driver": who, "digits": lastDigits, "minutes": strconv.Itoa(minutes)})
}

// OnboardCode is the message to a driver with the code that takes him into a fleet.
func (h Hashes) OnboardCode(to phone.Number, code, fleetName string, minutes int) SMS {
	return h.code(to, TextOnboard, code, map[string]string{"fleet": fleetName, "minutes": strconv.Itoa(minutes)})
}

func (h Hashes) code(to phone.Number, key, code string, values map[string]string) SMS {
	t, _ := template(key) // the keys above are all there
	values["code"] = code
	body, used := t.fill(values)
	delete(used, "code")
	return SMS{To: to, Body: retrievable(body, h.of(key)), Code: code, Template: key, Vars: used}
}

// Notice is a text that is no code; false when there is no template of that name.
func Notice(to phone.Number, key string, values map[string]string) (SMS, bool) {
	t, ok := template(key)
	if !ok || t.carriesCode() {
		return SMS{}, false
	}
	body, used := t.fill(values)
	return SMS{To: to, Body: body, Template: key, Vars: used}, true
}

// TemplateIDs are a provider's own ids of templates, by key. The two own logins may share one.
type TemplateIDs map[string]string

// Of gives the id of a template, "" when there is none.
func (ids TemplateIDs) Of(key string) string {
	if id := ids[key]; id != "" || key != TextLoginCaptain {
		return id
	}
	return ids[TextLogin]
}
