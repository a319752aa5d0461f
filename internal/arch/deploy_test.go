package arch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"weelo/internal/config"
)

// taskDefinition is the part of deploy/task-definition.json that a process sees.
type taskDefinition struct {
	Containers []struct {
		Environment []struct{ Name, Value string }
		Secrets     []struct{ Name, ValueFrom string }
	} `json:"containerDefinitions"`
}

// parameter is one of an account's own, in the template.
var parameter = regexp.MustCompile(`\$\{([A-Z0-9_]+)\}`)

// filled is what an account may give for the parameters whose form is checked.
var filled = map[string]string{
	"SECRET_DATABASE_URL": "postgres://weelo:x@db:5432/weelo", "SECRET_REDIS_URL": "rediss://cache:6379",
	"SECRET_JWT": "kJ8vQm2ZrT5xW9bN4cL7pD1fG6hS3yUa0eRi", "SECRET_JWT_REFRESH": "Zp4Xc7Vb1Nm8Lk5Jh2Gf9Ds6Aq3We0Rt7YuI",
	"SECRET_SMS_REPORT": "Yt6Rn3Wq8Zx1Mv5Kb0Hj7Gd4Fs9Lp2CuEoA", "PUBLIC_HOST": "api.example.org",
}

// TestTheTaskDefinitionStarts: the template, filled in, is an environment that production starts with and has
// nothing to warn of, on ECS; it names only what the program reads; no secret is in it in clear; each secret that it
// leaves out, and each parameter, is explained in deploy/README.md.
func TestTheTaskDefinitionStarts(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root(t), "deploy", "task-definition.json"))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root(t), "deploy", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var task taskDefinition
	if err := json.Unmarshal(raw, &task); err != nil || len(task.Containers) != 1 {
		t.Fatalf("%d containers, %v", len(task.Containers), err)
	}
	known := map[string]config.Variable{}
	for _, v := range config.Variables() {
		known[v.Name] = v
	}
	environ, named := []string{"ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/x"}, map[string]bool{}
	set := func(name, template string) {
		if _, ok := known[name]; !ok && !strings.HasPrefix(name, "OTEL_") {
			t.Errorf("nothing reads %s", name)
		}
		if named[name] {
			t.Errorf("%s is there twice", name)
		}
		named[name] = true
		environ = append(environ, name+"="+parameter.ReplaceAllStringFunc(template, func(p string) string {
			if v, ok := filled[p[2:len(p)-1]]; ok {
				return v
			}
			return "value"
		}))
	}
	for _, v := range task.Containers[0].Environment {
		if known[v.Name].Secret {
			t.Errorf("%s is a secret and stands in the environment", v.Name)
		}
		set(v.Name, v.Value)
	}
	for _, v := range task.Containers[0].Secrets {
		if !known[v.Name].Secret {
			t.Errorf("%s is no secret", v.Name)
		}
		set(v.Name, v.ValueFrom)
	}
	cfg, err := config.Load(environ)
	if err == nil {
		err = cfg.Serve()
	}
	if err != nil || !cfg.Production() || !cfg.OnECS() {
		t.Errorf("production %v, on ECS %v: %v", cfg.Production(), cfg.OnECS(), err)
	}
	if missing := cfg.Borrowing(); len(missing) > 0 {
		t.Errorf("the start would warn: %v are not set", missing)
	}
	for _, v := range config.Variables() {
		if v.Secret && !named[v.Name] && !strings.Contains(string(readme), "`"+v.Name+"`") {
			t.Errorf("the secret %s is neither in the template nor explained in deploy/README.md", v.Name)
		}
	}
	var parameters []string
	for _, p := range parameter.FindAllStringSubmatch(string(raw), -1) {
		parameters = append(parameters, p[1])
	}
	slices.Sort(parameters)
	if parameters = slices.Compact(parameters); len(parameters) < 10 {
		t.Fatalf("%d parameters; the rule would check nothing", len(parameters))
	}
	for _, p := range parameters {
		if !strings.Contains(string(readme), "`"+p+"`") {
			t.Errorf("deploy/README.md does not say what %s is", p)
		}
	}
}

// TestEveryVariableIsExplained: what the program reads is in docs/configuration.md, and nothing else is read: no other
// package asks the environment, but tracing for the standard OTEL_ names.
func TestEveryVariableIsExplained(t *testing.T) {
	t.Parallel()
	pageText := page(t, "configuration.md")
	variables := config.Variables()
	if len(variables) < 50 {
		t.Fatalf("%d variables; the rule would check nothing", len(variables))
	}
	for _, v := range variables {
		if !strings.Contains(pageText, "| `"+v.Name+"` |") {
			t.Errorf("docs/configuration.md has no row of %s", v.Name)
		}
	}
	reads := regexp.MustCompile(`os\.(Getenv|LookupEnv)\(`)
	for _, p := range packages(t) {
		if testSupport(p.ImportPath) || under(p.ImportPath, "tools", "internal/telemetry") {
			continue
		}
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if m := reads.Find(text); m != nil {
				t.Errorf("%s/%s asks the environment by itself (%s): internal/config is its only reader", p.ImportPath, name, m)
			}
		}
	}
}
