package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "weelo"

// domain lists the packages that decide. They take time and randomness as values and do no I/O.
var domain = []string{"fault", "fleet", "geo", "ledger", "limit", "nudge", "order", "otp", "phone", "presence", "pricing", "session", "token", "track", "trip"}

// pkg is the part of `go list -json` that the rules need.
type pkg struct {
	ImportPath   string
	Dir          string
	Name         string
	Doc          string
	Standard     bool
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	Deps         []string
}

// house is the list of this module's packages, asked once.
var house = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Name,Doc,Standard,GoFiles,TestGoFiles,XTestGoFiles,Imports,Deps", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New(err.Error() + ": " + stderr.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return pkgs, nil
		} else if err != nil {
			return nil, err
		}
		pkgs = append(pkgs, p)
	}
})

func packages(t *testing.T) []pkg {
	t.Helper()
	pkgs, err := house()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(pkgs) < 5 {
		t.Fatalf("go list found %d packages of the module; the rules would check nothing", len(pkgs))
	}
	return pkgs
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// under tells whether an import path is one of the given packages of this module or below one.
func under(path string, dirs ...string) bool {
	rel, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return false
	}
	return slices.ContainsFunc(dirs, func(d string) bool { return rel == d || strings.HasPrefix(rel, d+"/") })
}

// testSupport tells whether a package exists for tests only (actortest, storetest, otlptest …).
func testSupport(path string) bool { return strings.HasSuffix(path, "test") || under(path, "test") }

// TestDomainDoesNoIO walks the whole closure: a helper's helper that opens a file counts.
func TestDomainDoesNoIO(t *testing.T) {
	t.Parallel()
	forbidden := []string{"net/http", "os/exec", "database/sql"}
	direct := []string{"net", "os", "io/fs"}
	for _, p := range packages(t) {
		if !slices.ContainsFunc(domain, func(d string) bool { return p.ImportPath == module+"/internal/"+d }) {
			continue
		}
		for _, d := range p.Deps {
			if slices.Contains(forbidden, d) {
				t.Errorf("%s reaches %s: the domain does no I/O; declare a port instead", p.ImportPath, d)
			}
			if under(d, "store", "transport", "actors", "cmd", "migrations", "internal/config", "internal/telemetry") {
				t.Errorf("%s reaches %s: the domain imports the domain only", p.ImportPath, d)
			}
		}
		for _, d := range p.Imports {
			if slices.Contains(direct, d) {
				t.Errorf("%s imports %s: the domain does no I/O; declare a port instead", p.ImportPath, d)
			}
		}
	}
}

// TestDomainTakesTimeAsAValue: a decision that reads the clock or the dice cannot be replayed.
func TestDomainTakesTimeAsAValue(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !slices.ContainsFunc(domain, func(d string) bool { return p.ImportPath == module+"/internal/"+d }) {
			continue
		}
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []string{"time.Now(", "time.Since(", "time.Until(", "rand.Read("} {
				if bytes.Contains(text, []byte(call)) {
					t.Errorf("%s/%s calls %s…): take now time.Time or an io.Reader", p.ImportPath, name, call)
				}
			}
		}
	}
}

// TestImportDirections keeps the arrows of docs/architecture.md.
func TestImportDirections(t *testing.T) {
	t.Parallel()
	rules := []struct {
		name string
		from []string
		to   func(string) bool
		why  string
	}{
		{"protoactor lives in actors", []string{"cmd", "internal", "store", "transport", "migrations"},
			func(d string) bool { return strings.HasPrefix(d, "github.com/asynkron/protoactor-go") },
			"protoactor-go is imported under actors/ and nowhere else"},
		{"stores know the domain only", []string{"store"},
			func(d string) bool { return under(d, "actors", "transport", "cmd") }, "stores keep what the domain declares"},
		{"transports ask actors and services", []string{"transport"},
			func(d string) bool { return under(d, "store", "migrations") }, "a transport declares the small interface it uses"},
		{"transports speak the protocol", []string{"transport"},
			func(d string) bool { return under(d, "actors") && !under(d, "actors/protocol") }, "import actors/protocol"},
		{"actors use ports", []string{"actors"},
			func(d string) bool { return under(d, "store", "transport", "cmd", "migrations") }, "use the domain's port"},
		{"the environment has one reader", []string{"actors", "store", "transport"},
			func(d string) bool { return under(d, "internal/config") }, "each component has its own Config; cmd fills it"},
		{"test support stays in tests", []string{"actors", "cmd", "internal", "store", "transport"},
			func(d string) bool { return strings.HasPrefix(d, module+"/") && testSupport(d) }, "only _test.go files import it"},
		{"cmd is the top", []string{"actors", "internal", "store", "transport", "migrations"},
			func(d string) bool { return under(d, "cmd") }, "nothing imports cmd"},
	}
	for _, p := range packages(t) {
		if testSupport(p.ImportPath) {
			continue
		}
		for _, r := range rules {
			if !under(p.ImportPath, r.from...) {
				continue
			}
			// A closure passes through packages that are allowed for others (actors reach protoactor for
			// cmd), so arrows are checked edge by edge; an edge of every package is the closure's.
			for _, d := range p.Imports {
				if r.to(d) {
					t.Errorf("%s imports %s (%s): %s", p.ImportPath, d, r.name, r.why)
				}
			}
		}
	}
}

// TestClosuresStayApart checks what edge rules cannot: a store or transport that reaches actors by a
// detour.
func TestClosuresStayApart(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if testSupport(p.ImportPath) {
			continue
		}
		for _, d := range p.Deps {
			switch {
			case under(p.ImportPath, "store") && under(d, "actors", "transport"),
				under(p.ImportPath, "transport") && under(d, "store"),
				under(p.ImportPath, "actors") && under(d, "store", "transport"),
				under(p.ImportPath, "store", "transport") && strings.HasPrefix(d, "github.com/asynkron/protoactor-go"):
				t.Errorf("%s reaches %s", p.ImportPath, d)
			}
		}
	}
}

// TestNamesAndComments: a package says what it is for, and is not named after nothing.
func TestNamesAndComments(t *testing.T) {
	t.Parallel()
	nothing := []string{"util", "utils", "common", "helper", "helpers", "types", "models", "misc", "base", "shared"}
	for _, p := range packages(t) {
		if slices.Contains(nothing, filepath.Base(p.ImportPath)) {
			t.Errorf("%s: name a package after what it does", p.ImportPath)
		}
		if len(p.GoFiles) > 0 && len(p.Doc) < 30 {
			t.Errorf("%s has no package comment that says what it is for", p.ImportPath)
		}
	}
}

// TestNoReplace: what is built is what go.mod names.
func TestNoReplace(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?m)^\s*replace\b`).Match(mod) {
		t.Error("go.mod has a replace directive")
	}
}

// maxLines is where a file is a question. Generated files and testdata are not read by people.
const maxLines = 500

// TestFilesAreReadable: no file a person must read is longer than maxLines, and no test sleeps.
func TestFilesAreReadable(t *testing.T) {
	t.Parallel()
	sleep := []byte("time." + "Sleep(")
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			generated := bytes.Contains(text[:min(len(text), 400)], []byte("DO NOT EDIT"))
			if n := bytes.Count(text, []byte("\n")); n > maxLines && !generated {
				t.Errorf("%s/%s has %d lines; more than %d", p.ImportPath, name, n, maxLines)
			}
			inTest := strings.HasSuffix(name, "_test.go") || testSupport(p.ImportPath)
			if inTest && bytes.Contains(text, sleep) {
				t.Errorf("%s/%s sleeps; wait for a condition, or use testing/synctest", p.ImportPath, name)
			}
		}
	}
}
