//go:build !race

// A hundred thousand records: under the race detector they would take minutes,
// and run nothing that other tests do not run under it.

package cli_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/cli"
	"github.com/gcexport/gcexport/pkg/genesystest"
)

// What plan expects is within a tenth of what the export then needs.
func TestPrice(t *testing.T) {
	from := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, row := range map[string]struct {
		options genesystest.Options
		days    int
		flags   []string
	}{
		"many small records":         {genesystest.Options{PerDay: 3000, Size: genesystest.SizeSmall}, 21, nil},
		"records as they are":        {genesystest.Options{PerDay: 700}, 7, nil},
		"busy and quiet days, weeks": {genesystest.Options{PerDay: 800, Size: genesystest.SizeSmall}, 28, []string{"--chunk", "7d"}},
		"queries":                    {genesystest.Options{PerDay: 900, Flat: true, Size: genesystest.SizeSmall}, 10, []string{"--mode", "query"}},
		"names that only grow":       {genesystest.Options{PerDay: 1000, LargeEvery: -1}, 14, []string{"--partition", "export-day", "--chunk", "14d"}},
		"small pages":                {genesystest.Options{PerDay: 400, LargeEvery: -1}, 8, []string{"--page-size", "50"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := row.options
			o.Seed, o.From, o.To = 5, from.AddDate(0, -1, 0), from.AddDate(0, 3, 0)
			o.Gzip, o.RequestsPerMinute, o.JobTime = true, -1, time.Millisecond
			server := genesystest.New(o)
			url, stop, err := server.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			run := func(command string, more ...string) []byte {
				var stdout, stderr bytes.Buffer
				args := append([]string{command, t.TempDir(), "--start", from.Format(time.DateOnly), "--end", from.AddDate(0, 0, row.days).Format(time.DateOnly),
					"--api-url", url, "--login-url", url, "--rate", "6000", "--jobs", "16", "--output", "json", "--quiet"}, row.flags...)
				env := map[string]string{"GENESYSCLOUD_OAUTHCLIENT_ID": "demo", "GENESYSCLOUD_OAUTHCLIENT_SECRET": "demo"}
				code := cli.Main(t.Context(), cli.Process{Args: append(args, more...), Stdout: &stdout, Stderr: &stderr,
					Getenv: func(name string) (string, bool) {
						if v, ok := env[name]; ok {
							return v, true
						}
						return os.LookupEnv(name)
					}})
				if code != 0 {
					t.Fatalf("%s: exit code %d: %s", command, code, stderr.String())
				}
				return stdout.Bytes()
			}
			lines := strings.Split(strings.TrimSpace(string(run("plan", "--price"))), "\n")
			var plan struct {
				Price struct {
					Conversations, Requests, Objects float64
					RawBytes                         float64 `json:"raw_bytes"`
					Bytes                            float64
				}
			}
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &plan); err != nil {
				t.Fatal(err)
			}
			var took struct {
				Records, Bytes, Parts float64
				RawBytes              float64 `json:"raw_bytes"`
				Usage                 struct{ Total float64 }
			}
			if err := json.Unmarshal(run("export"), &took); err != nil {
				t.Fatal(err)
			}
			for what, pair := range map[string][2]float64{
				"conversations": {plan.Price.Conversations, took.Records}, "requests": {plan.Price.Requests, took.Usage.Total},
				"bytes of JSON": {plan.Price.RawBytes, took.RawBytes}, "bytes": {plan.Price.Bytes, took.Bytes}, "objects": {plan.Price.Objects, took.Parts},
			} {
				if math.Abs(pair[0]-pair[1]) > 0.1*pair[1] {
					t.Errorf("%s: %.0f planned, %.0f needed", what, pair[0], pair[1])
				}
			}
		})
	}
}
