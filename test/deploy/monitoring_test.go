package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

var (
	sample = regexp.MustCompile(`(?m)^(gcexport_[a-z_]+)(?:\{(.*)\})? `)
	label  = regexp.MustCompile(`([a-z]+)="([^"]*)"`)
)

// Labels that Prometheus or the Pushgateway add to each metric.
func added(name string) bool { return name == "job" || name == "instance" || name == "shard" }

// golden gives the metrics that there are, with the values of their labels.
func golden(t *testing.T) map[string]map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../internal/metrics/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]map[string][]string{}
	for _, m := range sample.FindAllStringSubmatch(string(text), -1) {
		if known[m[1]] == nil {
			known[m[1]] = map[string][]string{}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			known[m[1]][l[1]] = append(known[m[1]][l[1]], l[2])
		}
	}
	return known
}

// Dashboard and alerts are PromQL, speak of metrics and labels that there are, and are
// what their readers take.
func TestMonitoring(t *testing.T) {
	known := golden(t)
	for file, decode := range map[string]func([]byte) ([]string, error){"dashboard.json": panels, "rules.yaml": alerts} {
		text, err := os.ReadFile(root + "monitoring/" + file)
		if err != nil {
			t.Fatal(err)
		}
		exprs, err := decode(text)
		if err != nil || len(exprs) < 5 {
			t.Errorf("%s: %d expressions, %v", file, len(exprs), err)
		}
		for _, expr := range exprs {
			for _, problem := range problems(expr, known) {
				t.Errorf("%s: %s: %s", file, expr, problem)
			}
		}
	}
}

// What the test above finds, where it is wrong.
func TestProblems(t *testing.T) {
	known := golden(t)
	for _, expr := range []string{
		`sum(gcexport_chunks_total`, `gcexport_no_such_total > 0`, `gcexport_chunks_total{results="failed"}`, `gcexport_chunks_total{result="fail"}`,
		`sum by (kind) (gcexport_chunks_total)`, `rate(gcexport_requests_total)`, `sum(up)`,
	} {
		if problems(expr, known) == nil {
			t.Errorf("%s: nothing is found", expr)
		}
	}
}

// problems says what is wrong with an expression.
func problems(expr string, known map[string]map[string][]string) (found []string) {
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return []string{err.Error()}
	}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			found = append(found, selects(n, known)...)
		case *parser.AggregateExpr:
			for _, name := range n.Grouping {
				if !added(name) && !has(n.Expr, name, known) {
					found = append(found, "nothing has the label "+name)
				}
			}
		}
		return nil
	})
	return found
}

// selects says what is wrong with a selector.
func selects(n *parser.VectorSelector, known map[string]map[string][]string) (found []string) {
	labels, ok := known[n.Name]
	if !ok {
		return []string{"there is no metric " + n.Name}
	}
	for _, m := range n.LabelMatchers {
		values, ok := labels[m.Name]
		switch {
		case m.Name == model.MetricNameLabel || added(m.Name):
		case !ok:
			found = append(found, n.Name+" has no label "+m.Name)
		case !slices.ContainsFunc(values, m.Matches):
			found = append(found, fmt.Sprintf("%s is never %v", n.Name, m))
		}
	}
	return found
}

// has reports whether a metric below the expression has the label.
func has(below parser.Expr, name string, known map[string]map[string][]string) (found bool) {
	parser.Inspect(below, func(node parser.Node, _ []parser.Node) error {
		if n, ok := node.(*parser.VectorSelector); ok {
			found = found || known[n.Name][name] != nil
		}
		return nil
	})
	return found
}

// panels gives the expressions of a dashboard.
func panels(text []byte) (exprs []string, err error) {
	var d struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	err = json.Unmarshal(text, &d)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	return exprs, err
}

// A rule is one alert.
type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// rules gives the alerts of a file; each says how bad and what it is.
func rules(text []byte) (all []rule, err error) {
	var f struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	err = yaml.UnmarshalStrict(text, &f)
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				return nil, fmt.Errorf("the rule %q says not enough", r.Alert)
			}
			all = append(all, r)
		}
	}
	return all, err
}

// alerts gives the expressions of rules.
func alerts(text []byte) (exprs []string, err error) {
	all, err := rules(text)
	for _, r := range all {
		exprs = append(exprs, r.Expr)
	}
	return exprs, err
}
