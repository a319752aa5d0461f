package arch

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// coverage is statements and how many of them ran, by package.
type coverage map[string]*struct{ total, covered int }

// readCoverage merges a profile of many test binaries: a block that ran in one of them ran.
func readCoverage(r io.Reader) (coverage, error) {
	type block struct {
		statements int
		ran        bool
	}
	blocks := map[string]block{}
	for sc := bufio.NewScanner(r); sc.Scan(); {
		line := sc.Text()
		if line == "" || strings.HasPrefix(line, "mode:") {
			continue
		}
		f := strings.Fields(line) // file.go:1.2,3.4 statements count
		if len(f) != 3 {
			return nil, fmt.Errorf("not a coverage line: %q", line)
		}
		n, err1 := strconv.Atoi(f[1])
		count, err2 := strconv.Atoi(f[2])
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("not a coverage line: %q", line)
		}
		blocks[f[0]] = block{n, blocks[f[0]].ran || count > 0}
	}
	c := coverage{}
	for where, b := range blocks {
		file, _, _ := strings.Cut(where, ":")
		p := path.Dir(file)
		if c[p] == nil {
			c[p] = new(struct{ total, covered int })
		}
		c[p].total += b.statements
		if b.ran {
			c[p].covered += b.statements
		}
	}
	return c, nil
}

// percent is the share of all statements that ran; 0 when there are none.
func (c coverage) percent() float64 {
	var total, covered int
	for _, p := range c {
		total += p.total
		covered += p.covered
	}
	return 100 * float64(covered) / float64(max(total, 1))
}

// TestCoverageFloor fails when the tests reach less of internal/ than the floor. `make test` gives
// it the profile of all tests; by itself it checks the arithmetic on a small one.
func TestCoverageFloor(t *testing.T) {
	t.Parallel()
	profile, floor := io.Reader(strings.NewReader("mode: atomic\nweelo/a/x.go:1.1,2.2 3 0\nweelo/a/x.go:1.1,2.2 3 7\nweelo/b/y.go:1.1,2.2 1 0\n")), 75.0
	if file := os.Getenv("COVER_PROFILE"); file != "" {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		profile = f
		if floor, err = strconv.ParseFloat(os.Getenv("COVER_MIN"), 64); err != nil {
			t.Fatalf("COVER_MIN: %v", err)
		}
	}
	c, err := readCoverage(profile)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Logf("%6.1f %%  %4d statements  %s", 100*float64(c[name].covered)/float64(max(c[name].total, 1)), c[name].total, name)
	}
	t.Logf("%6.1f %%  of all", c.percent())
	if c.percent() < floor {
		t.Errorf("statement coverage %.1f %% is below %.1f %%", c.percent(), floor)
	}
}
