package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gcexport/gcexport/internal/doctor"
	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/interval"
)

// The time that one check of the doctor may take, and all of them.
const (
	checkLimit  = 6 * time.Second
	doctorLimit = 18 * time.Second
)

// maxSkew is from where on clocks that differ do harm: signatures of S3 end
// after 15 minutes, and tokens are taken for good until shortly before theirs.
const maxSkew = 2 * time.Minute

// A patient is what the doctor looks at; each check finds there what those before
// it have made.
type patient struct {
	process   *Process
	api       apiFlags
	bucketURL string

	apiURL, loginURL string
	pool             *genesys.Pool
	watermark        time.Time
	store            *store.Store
	left             []string // keys of objects that were written for trying
}

func newDoctor(p *Process) *cobra.Command {
	var api apiFlags
	output := choiceValue{"text", []string{"text", "json"}}
	cmd := &cobra.Command{
		Use:   "doctor [BUCKET]",
		Short: "See whether an export would work, and what to do if not",
		Long: `Check, in this order, the API (region and hosts, clock, credentials, permissions,
watermark, limits) and the bucket (credentials, listing, creating, that nothing can be
replaced, reading, aborted uploads, lifecycle rule), and say of each what is right,
what is wrong and what to do. Without BUCKET only the API is checked.

Nothing is exported. Small objects are written below _gcexport/doctor/ and deleted
again, if that is allowed; an export never deletes anything. It takes 20 seconds at
most.

The exit code is that of the first thing that is wrong.

` + exitCodes,
		Example: `  gcexport doctor s3://bucket/genesys --region eu-central-1
  gcexport doctor --region mypurecloud.de --output json | jq 'select(.status != "right")'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil // the bucket may be left out
			}
			return p.bucketArg(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.bindEnv(cmd); err != nil {
				return err
			}
			return p.runDoctor(cmd.Context(), &patient{process: p, api: api, bucketURL: p.bucketOf(args)}, output.value)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	api.add(fs)
	fs.VarP(&output, "output", "o", "form of the result on stdout: text, or json: one line for each check")
	return cmd
}

// runDoctor is the doctor command.
func (p *Process) runDoctor(ctx context.Context, of *patient, output string) error {
	defer of.close()
	_, plain := p.Getenv("NO_COLOR")
	color := p.isTerminal(p.Stdout) && !plain
	var printed error
	d := &doctor.Doctor{
		Limit: checkLimit, Total: doctorLimit,
		Explain: func(err error) (string, string) { f := explain(err); return oneLine(f.message), oneLine(f.hint) },
		Found: func(f doctor.Finding) {
			write := func() error { return doctor.WriteText(p.Stdout, f, color) }
			if output == "json" {
				write = func() error { return doctor.WriteJSON(p.Stdout, f) }
			}
			if err := write(); err != nil && printed == nil {
				printed = fmt.Errorf("print the result: %w", err)
			}
		},
	}
	checks := of.apiChecks()
	if of.bucketURL != "" {
		checks = append(checks, of.bucketChecks()...)
	}
	findings, err := d.Run(ctx, checks)
	if err = cmp.Or(err, printed); err != nil {
		return err
	}
	return diagnosis(findings)
}

// diagnosis is the error of what is wrong: of the first, which may be why others are.
func diagnosis(findings []doctor.Finding) error {
	var first *failure
	wrong := 0
	for _, f := range findings {
		if f.Status != doctor.Wrong {
			continue
		}
		if wrong++; first == nil {
			first = &failure{code: explain(f.Err).code, message: f.Check + ": " + f.Detail, hint: f.Hint, topic: explain(f.Err).topic}
		}
	}
	if first == nil {
		return nil
	}
	if wrong > 1 {
		first.message = fmt.Sprintf("%d things are wrong, the first: %s", wrong, first.message)
	}
	return first
}

func (c *patient) close() {
	if c.pool != nil {
		c.pool.Close()
	}
	if c.store != nil {
		_ = c.store.Close() // nothing is under way
	}
}

func (c *patient) apiChecks() []doctor.Check {
	return []doctor.Check{
		{Name: "region", Do: c.checkRegion},
		{Name: "login host", Needs: []string{"region"}, Do: func(ctx context.Context) (string, error) { return see(ctx, c.loginURL) }},
		{Name: "API host", Needs: []string{"region"}, Do: func(ctx context.Context) (string, error) { return see(ctx, c.apiURL) }},
		{Name: "credentials", Needs: []string{"region"}, Do: c.checkCredentials},
		{Name: "token", Needs: []string{"login host", "API host", "credentials"}, Do: c.checkToken},
		{Name: "jobs", Needs: []string{"token"}, Do: c.checkJobs},
		{Name: "queries", Needs: []string{"token"}, Do: c.checkQueries},
		{Name: "watermark", Needs: []string{"jobs"}, Do: c.checkWatermark},
		{Name: "limits", Needs: []string{"token"}, Do: c.checkLimits},
	}
}

func (c *patient) checkRegion(context.Context) (string, error) {
	var err error
	if c.apiURL, c.loginURL, err = c.process.hosts(&c.api); err != nil {
		return "", err
	}
	return c.apiURL + ", " + c.loginURL, nil
}

// see sees whether a host answers, by which way, and what its clock says.
func see(ctx context.Context, base string) (string, error) {
	_, version := program()
	began := time.Now()
	v, err := genesys.See(ctx, base, version)
	if err != nil {
		if _, conn := errors.AsType[*genesys.ConnError](err); !conn {
			err = usageError(err.Error(), "URLs look like https://api.mypurecloud.com and https://login.mypurecloud.com")
		}
		return "", err
	}
	took := time.Since(began)
	detail := fmt.Sprintf("answers in %d ms", took.Milliseconds())
	if v.Proxy != "" {
		detail += " through the proxy " + v.Proxy
	}
	if v.Date.IsZero() {
		return detail, nil
	}
	skew := began.Add(took / 2).Sub(v.Date).Round(time.Second)
	if skew.Abs() > maxSkew {
		return "", &doctor.Advice{Detail: fmt.Sprintf("%s, but this machine's clock is %s", detail, off(skew)),
			Hint: "set the clock by NTP: clouds refuse signatures that seem to be old"}
	}
	return detail, nil
}

// off says how far a clock is off.
func off(skew time.Duration) string {
	if skew < 0 {
		return fmt.Sprintf("%v behind", -skew)
	}
	return fmt.Sprintf("%v ahead", skew)
}

// checkCredentials reads the credentials, and makes clients of little patience.
func (c *patient) checkCredentials(context.Context) (string, error) {
	out, err := c.process.openDisplay(&logFlags{quiet: true, level: choiceValue{value: "error"}, format: choiceValue{value: "text"}, progress: choiceValue{value: "none"}})
	if err != nil {
		return "", err
	}
	defer out.close()
	c.api.attempts, c.api.stall = 2, lengthValue{checkLimit}
	if c.pool, err = c.process.connect(&c.api, export.Shard{}, out, nil); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s given", count(c.pool.Size(), "OAuth client")), nil
}

// checkToken wants each client to get a token. Whether it may do more with it is
// another question.
func (c *patient) checkToken(ctx context.Context) (string, error) {
	err := c.pool.Each(func(client *genesys.Client) error { return client.Token(ctx) })
	if err != nil {
		return "", err
	}
	return "the login host lets " + count(c.pool.Size(), "OAuth client") + " in", nil
}

func (c *patient) checkJobs(ctx context.Context) (string, error) {
	err := c.pool.Each(func(client *genesys.Client) (err error) {
		c.watermark, err = client.Availability(ctx)
		return err
	})
	return "details jobs may be read (--mode job)", err
}

func (c *patient) checkQueries(ctx context.Context) (string, error) {
	probe := interval.Interval{Start: time.Now().Add(-time.Hour).Truncate(time.Hour)}
	probe.End = probe.Start.Add(time.Minute)
	err := c.pool.Each(func(client *genesys.Client) error {
		for _, err := range client.Queries(genesys.QueryOptions{PageSize: 1}).Pages(ctx, probe) {
			return err // one page tells
		}
		return nil
	})
	return "details queries may be made (--mode query)", err
}

// lateWatermark is from where on the watermark is later than it is in the daily
// run of things.
const lateWatermark = 72 * time.Hour

func (c *patient) checkWatermark(context.Context) (string, error) {
	lag := time.Since(c.watermark).Round(time.Minute)
	detail := fmt.Sprintf("jobs are complete up to %s, %v ago", rfc3339(c.watermark), lag)
	if lag > lateWatermark {
		return "", &doctor.Advice{Detail: detail, Hint: "it is late: chunks that end later are postponed, and --mode query reads what is newer"}
	}
	return detail, nil
}

func (c *patient) checkLimits(ctx context.Context) (string, error) {
	q, err := c.pool.Quotas(ctx)
	if q == (genesys.Quotas{}) {
		if ctx.Err() != nil {
			return "", err
		}
		return "", &doctor.Advice{Detail: fmt.Sprintf("the organisation's limits cannot be read; %d requests a minute and %d jobs at once are assumed",
			genesys.DefaultRequestsPerMinute, genesys.DefaultConcurrent),
			Hint: "if others are agreed, give them as --rate and --jobs"}
	}
	return fmt.Sprintf("%d requests a minute, %d jobs at once (0: not published)", int(q.RequestsPerMinute), q.ConcurrentJobs), nil
}
