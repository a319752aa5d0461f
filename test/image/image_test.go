package image

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"weelo/internal/config"
)

const top = "../.."

// stage is one FROM with its instructions.
type stage struct {
	name, base string
	lines      map[string][]*parser.Node
}

func words(n *parser.Node) []string {
	var out []string
	for n = n.Next; n != nil; n = n.Next {
		out = append(out, n.Value)
	}
	return out
}

func stages(t *testing.T) []stage {
	t.Helper()
	f, err := os.Open(filepath.Join(top, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Warnings) > 0 {
		t.Errorf("the parser warns: %v", parsed.Warnings)
	}
	var out []stage
	for _, n := range parsed.AST.Children {
		op := strings.ToLower(n.Value)
		if op == "from" {
			w := words(n)
			out = append(out, stage{name: w[len(w)-1], base: w[0], lines: map[string][]*parser.Node{}})
			continue
		}
		if len(out) > 0 {
			out[len(out)-1].lines[op] = append(out[len(out)-1].lines[op], n)
		}
	}
	return out
}

// buildLine is the `go build` of the Dockerfile, as a shell would run it.
func buildLine(t *testing.T) string {
	t.Helper()
	for _, s := range stages(t) {
		for _, n := range s.lines["run"] {
			if strings.Contains(n.Next.Value, "go build") {
				return n.Next.Value
			}
		}
	}
	t.Fatal("no go build in the Dockerfile")
	return ""
}

func TestDockerfileShipsProductionByDefault(t *testing.T) {
	t.Parallel()
	all := stages(t)
	var names []string
	for _, s := range all {
		names = append(names, s.name)
	}
	if !slices.Equal(names, []string{"deps", "build", "production"}) {
		t.Fatalf("stages %v: production must be the last, which is the default target", names)
	}
	p := all[2]
	if !strings.Contains(p.base, "distroless/static") || !strings.HasSuffix(p.base, ":nonroot") {
		t.Errorf("production is based on %s", p.base)
	}
	if len(p.lines["run"]) > 0 {
		t.Error("production runs commands: it has no shell, and native files must come from build")
	}
	if got := words(p.lines["user"][0]); !slices.Equal(got, []string{"nonroot:nonroot"}) {
		t.Errorf("USER %v", got)
	}
	for op, want := range map[string][]string{"entrypoint": {"/weelo"}, "cmd": {"serve"}} {
		n := p.lines[op][0]
		if got := words(n); !slices.Equal(got, want) || !n.Attributes["json"] {
			t.Errorf("%s is %v (exec form: %v), want %v", op, got, n.Attributes["json"], want)
		}
	}
	if got := p.lines["healthcheck"][0].Original; !strings.HasSuffix(got, `CMD ["/weelo", "health"]`) {
		t.Errorf("%s", got)
	}
	port := ""
	for _, v := range config.Variables() {
		if v.Name == "PORT" {
			port = v.Default
		}
	}
	if got := words(p.lines["expose"][0]); !slices.Equal(got, []string{port}) {
		t.Errorf("EXPOSE %v, the configuration's default is %s", got, port)
	}
	line := buildLine(t)
	for _, want := range []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "-trimpath", "-o /weelo"} {
		if !strings.Contains(line, want) {
			t.Errorf("the build line has no %s: %s", want, line)
		}
	}
}

// TestEnvironmentOfTheImageIsKnown: a variable that nothing reads is a mistake in the making.
func TestEnvironmentOfTheImageIsKnown(t *testing.T) {
	t.Parallel()
	for _, n := range stages(t)[2].lines["env"] {
		for w := words(n); len(w) >= 2; w = w[min(3, len(w)):] {
			if !slices.ContainsFunc(config.Variables(), func(v config.Variable) bool { return v.Name == w[0] }) {
				t.Errorf("ENV %s is not in internal/config", w[0])
			}
		}
	}
}

// TestBuildLineMakesAStaticBinary runs the Dockerfile's own build line and then the binary, as an
// unprivileged user in a root that holds nothing else.
func TestBuildLineMakesAStaticBinary(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "weelo-image")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	line := strings.Replace(buildLine(t), "-o /weelo", "-o "+dir+"/weelo", 1)
	build := exec.CommandContext(t.Context(), "sh", "-c", line)
	build.Dir = top
	build.Env = append(os.Environ(), "VERSION=v1.2.3-image")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	for _, tt := range []struct {
		args []string
		env  []string
		want string
		code int
	}{
		{[]string{"version"}, nil, "weelo v1.2.3-image", 0},
		{[]string{"--help"}, nil, "weelo serve", 0},
		{[]string{"serve"}, []string{"APP_ENV=production"}, "DATABASE_URL: needed", 1},
		{[]string{"health", "--url", "http://127.0.0.1:1"}, nil, "connection refused", 1},
	} {
		cmd := exec.CommandContext(t.Context(), "/weelo", tt.args...)
		cmd.Dir, cmd.Env = "/", tt.env
		cmd.SysProcAttr = alone(dir)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != tt.code || !strings.Contains(string(out), tt.want) {
			t.Errorf("weelo %v in an empty root: %v, want code %d and %q\n%s", tt.args, cmd.ProcessState, tt.code, tt.want, out)
		}
	}
}

// alone is an empty root and no privileges. Who is not root gets his root from a user namespace.
func alone(dir string) *syscall.SysProcAttr {
	if os.Geteuid() == 0 {
		return &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	}
	return &syscall.SysProcAttr{
		Chroot: dir, Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 65532, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 65532, HostID: os.Getegid(), Size: 1}},
	}
}

// TestTaskDefinitionIsWhole reads the ECS template as ECS would, after filling its parameters in.
func TestTaskDefinitionIsWhole(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(top, "deploy", "task-definition.json"))
	if err != nil {
		t.Fatal(err)
	}
	var task struct {
		CPU, Memory, NetworkMode string
		RuntimePlatform          struct{ CPUArchitecture, OperatingSystemFamily string }
		ContainerDefinitions     []struct {
			Name         string
			StopTimeout  int
			PortMappings []struct{ ContainerPort int }
			Environment  []struct{ Name, Value string }
			Secrets      []struct{ Name, ValueFrom string }
			HealthCheck  struct{ Command []string }
		}
	}
	if err := json.Unmarshal(text, &task); err != nil {
		t.Fatal(err)
	}
	c := task.ContainerDefinitions[0]
	if task.RuntimePlatform.CPUArchitecture != "X86_64" || task.NetworkMode != "awsvpc" {
		t.Errorf("platform %+v, network %s", task.RuntimePlatform, task.NetworkMode)
	}
	if c.StopTimeout != 120 || c.PortMappings[0].ContainerPort != 3000 || !slices.Equal(c.HealthCheck.Command, []string{"CMD", "/weelo", "health"}) {
		t.Errorf("container: %+v", c)
	}
	known := map[string]config.Variable{}
	for _, v := range config.Variables() {
		known[v.Name] = v
	}
	isSecret := func(v config.Variable) bool { return v.Secret || v.Name == "DATABASE_URL" || v.Name == "REDIS_URL" }
	environ := []string{}
	for _, e := range c.Environment {
		if v, ok := known[e.Name]; !ok || isSecret(v) {
			t.Errorf("environment %s is unknown, or a secret in clear", e.Name)
		}
		environ = append(environ, e.Name+"="+e.Value)
	}
	for i, s := range c.Secrets {
		if v, ok := known[s.Name]; !ok || !isSecret(v) || !strings.HasPrefix(s.ValueFrom, "${") {
			t.Errorf("secret %s is unknown or not a parameter: %s", s.Name, s.ValueFrom)
		}
		value := fmt.Sprintf("q%dZx7Wc5Vb3Nm1Lk9Jh8Gf6Ds4Ap2Oi0Uy", i)
		switch s.Name {
		case "DATABASE_URL":
			value = "postgres://u:p@db/weelo"
		case "REDIS_URL":
			value = "rediss://cache:6379"
		}
		environ = append(environ, s.Name+"="+value)
	}
	cfg, err := config.Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Serve(); err != nil {
		t.Errorf("a task started from the template would refuse: %v", err)
	}
	if strings.Contains(string(text), ".amazonaws.com") || strings.Contains(string(text), "arn:aws:iam::") {
		t.Error("the template names an account, registry or host")
	}
}
