package main

import (
	"errors"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"weelo/internal/notify"
	"weelo/internal/telemetry"
)

var (
	// described reads what a collector says of itself.
	described = regexp.MustCompile(`^Desc\{fqName: "([a-z_]+)".*variableLabels: \{([a-z_,]*)\}\}$`)
	// selected finds a metric and its selector, and a grouping.
	selected = regexp.MustCompile(`(weelo_[a-z_]+)(\{[^}]*\})?`)
	grouped  = regexp.MustCompile(`by \(([a-z_, ]+)\)`)
	matched  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
)

// shown gives the labels of every metric of SMS and limits by its name.
func shown(t *testing.T) map[string][]string {
	t.Helper()
	metrics := telemetry.NewMetrics("test")
	notify.NewMeter(metrics.Registry)
	descs := make(chan *prometheus.Desc)
	go func() {
		metrics.Registry.Describe(descs)
		close(descs)
	}()
	labels := map[string][]string{}
	for d := range descs {
		if m := described.FindStringSubmatch(d.String()); m != nil {
			labels[m[1]] = strings.Split(m[2], ",")
		}
	}
	return labels
}

// expressions gives the expressions of a file of rules by the names of their alarms.
func expressions(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, rule := range strings.Split(string(file), "- alert: ")[1:] {
		name, rest, _ := strings.Cut(rule, "\n")
		_, expr, ok := strings.Cut(rest, "expr: ")
		expr, _, end := strings.Cut(expr, "labels:")
		if !ok || !end {
			t.Fatalf("%s has no expression", name)
		}
		found[name] = expr
	}
	return found
}

// TestAlarmsAreOverWhatIsMeasured: each metric, label and limit that deploy/alerts.yaml names exists, and each of
// its alarms is explained in the pages of operators.
func TestAlarmsAreOverWhatIsMeasured(t *testing.T) {
	t.Parallel()
	rules, labels := expressions(t, "../../deploy/alerts.yaml"), shown(t)
	if len(rules) < 8 || len(labels) < 10 {
		t.Fatalf("%d alarms over %d metrics; nothing would be checked", len(rules), len(labels))
	}
	sms, err1 := os.ReadFile("../../docs/sms.md")
	limits, err2 := os.ReadFile("../../docs/limits.md")
	admin, err3 := os.ReadFile("../../docs/admin.md")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for name, expr := range rules {
		if !strings.Contains(string(sms)+string(limits)+string(admin), "`"+name+"`") {
			t.Errorf("%s is on no page", name)
		}
		all := []string{"le"}
		for _, m := range selected.FindAllStringSubmatch(expr, -1) {
			metric := strings.TrimSuffix(m[1], "_bucket")
			if _, ok := labels[metric]; !ok {
				t.Errorf("%s: nobody measures %s", name, metric)
			}
			all = append(all, labels[metric]...)
			for _, by := range matched.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(labels[metric], by[1]) {
					t.Errorf("%s: %s has no label %s", name, metric, by[1])
				}
				for _, value := range strings.Split(by[2], "|") {
					if by[1] == "limit" && !slices.Contains(limitNames(), value) {
						t.Errorf("%s: there is no limit %s", name, value)
					}
				}
			}
		}
		for _, m := range grouped.FindAllStringSubmatch(expr, -1) {
			for _, label := range strings.Split(m[1], ", ") {
				if !slices.Contains(all, label) {
					t.Errorf("%s: grouped by %s, which nothing in it has", name, label)
				}
			}
		}
		if len(all) == 1 && !strings.Contains(expr, "weelo_sms_waiting") {
			t.Errorf("%s is over nothing: %s", name, expr)
		}
	}
	if _, ok := rules["WeeloSMSTemplateDropped"]; !ok {
		t.Error("nobody is woken when operators drop a template")
	}
}

// TestAlarmsSeeTheFirstEvent: what is counted for alarms is there from 0; Prometheus sees no increase of a number
// that was never shown.
func TestAlarmsSeeTheFirstEvent(t *testing.T) {
	t.Parallel()
	metrics := telemetry.NewMetrics("test")
	metrics.Limits.Begin(limitNames()...)
	meter := notify.NewMeter(metrics.Registry)
	notify.NewRoutes(notify.RoutesConfig{Traffic: "codes", Log: slog.New(slog.DiscardHandler), Meter: meter}, notify.Route{Name: "msg91"})
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	zero := map[string]bool{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			series := f.GetName()
			for _, l := range m.GetLabel() {
				series += " " + l.GetValue()
			}
			if m.GetCounter() != nil && m.GetCounter().GetValue() == 0 {
				zero[series] = true
			}
		}
	}
	for _, series := range []string{
		"weelo_sms_delivery_total msg91 delivered login", "weelo_sms_delivery_total msg91 blocked driver_login",
		"weelo_limit_refused_total sms-budget-alarm", "weelo_limit_refused_total posture-raised", "weelo_limit_local_total requests-driver",
	} {
		if !zero[series] {
			t.Errorf("%s is not shown from 0", series)
		}
	}
}
