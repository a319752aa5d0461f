package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Variable is one name of the environment as people read about it.
type Variable struct {
	Group, Name, Default, Doc string
	Field                     string // the Go field
	Secret                    bool   // its value is one, or holds one
}

// Variables lists every name the program reads, in the order of the structs.
func Variables() []Variable {
	var vs []Variable
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		group := t.Field(i)
		for j := range group.Type.NumField() {
			f := group.Type.Field(j)
			vs = append(vs, Variable{
				Group: group.Tag.Get("doc"), Name: f.Tag.Get("env"), Default: f.Tag.Get("envDefault"),
				Doc: f.Tag.Get("doc"), Field: f.Name, Secret: f.Type == reflect.TypeFor[Secret]() || f.Type == reflect.TypeFor[DSN](),
			})
		}
	}
	return vs
}

// Unused are names that task definitions of the system before carry and that this program does not
// need, with what takes their place. They are accepted, and named once in the log.
var Unused = map[string]string{
	"TRUSTED_PROXY_CIDRS":       "TRUSTED_HOPS counts the proxies",
	"GOOGLE_MAPS_API_KEY":       "no map service is called",
	"BOOKING_CONCURRENCY_LIMIT": "orders are actors; each has its own bounded queue",
	"GEO_QUERY_MAX_CANDIDATES":  "the nearest are found in memory",
}

// UnusedIn gives the names in an environment that nothing reads, sorted.
func UnusedIn(environ []string) []string {
	var names []string
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if _, known := Unused[name]; known && value != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Markdown is docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Configuration\n\nGenerated from `internal/config` by `make generate`; do not edit.\n\n" +
		"`weelo serve` reads the environment once, at the start. What is wrong is listed at once, by name, and nothing starts.\n" +
		"`APP_ENV=production` (or `NODE_ENV=production`) refuses weak, short or equal secrets and everything made for tests.\n" +
		"Tracing is configured by the standard `OTEL_*` variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_EXPORTER`, `OTEL_TRACES_SAMPLER` …); unset, it costs nothing.\n")
	group := ""
	for _, v := range Variables() {
		if v.Group != group {
			group = v.Group
			fmt.Fprintf(&b, "\n## %s\n\n| variable | default | meaning |\n|---|---|---|\n", group)
		}
		def := "–"
		if v.Default != "" {
			def = "`" + v.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, def, v.Doc)
	}
	b.WriteString("\n## Accepted and not used\n\nNames that task definitions already carry. They do no harm and are named once in the log.\n\n| variable | instead |\n|---|---|\n")
	names := make([]string, 0, len(Unused))
	for n := range Unused {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprintf(&b, "| `%s` | %s |\n", n, Unused[n])
	}
	return b.String()
}

// DotEnv is .env.example: every variable with its default, commented out where it has one.
func DotEnv() string {
	var b strings.Builder
	b.WriteString("# Generated from internal/config by `make generate`; see docs/configuration.md.\n")
	group := ""
	for _, v := range Variables() {
		if v.Name == "ECS_CONTAINER_METADATA_URI_V4" {
			continue // set by ECS, never by people
		}
		if v.Group != group {
			group = v.Group
			fmt.Fprintf(&b, "\n# %s\n", group)
		}
		fmt.Fprintf(&b, "#%s=%s\n", v.Name, v.Default)
	}
	return b.String()
}
