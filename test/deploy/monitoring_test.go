package deploy

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"
)

var metricName = regexp.MustCompile(`gcexport_[a-z_]+`)

// Dashboard and alerts speak of metrics that there are, and are what their readers
// take.
func TestMonitoring(t *testing.T) {
	golden, err := os.ReadFile("../../internal/metrics/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, name := range metricName.FindAllString(string(golden), -1) {
		known[name] = true
	}
	for file, decode := range map[string]func([]byte) (int, error){"dashboard.json": panels, "rules.yaml": alerts} {
		text, err := os.ReadFile(root + "monitoring/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := decode(text); err != nil || n < 5 {
			t.Errorf("%s: %d, %v", file, n, err)
		}
		names := metricName.FindAllString(string(text), -1)
		if len(names) < 5 {
			t.Errorf("%s names %d metrics", file, len(names))
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
}

func panels(text []byte) (n int, err error) {
	var d struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	err = json.Unmarshal(text, &d)
	for _, p := range d.Panels {
		if len(p.Targets) > 0 && p.Targets[0].Expr != "" {
			n++
		}
	}
	return n, err
}

func alerts(text []byte) (n int, err error) {
	var f struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	err = yaml.UnmarshalStrict(text, &f)
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" && r.Expr != "" && r.Labels["severity"] != "" && r.Annotations["summary"] != "" {
				n++
			}
		}
	}
	return n, err
}
