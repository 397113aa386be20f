package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gcexport/gcexport/internal/jsonl"
	"github.com/gcexport/gcexport/pkg/genesystest"
)

// simulateFlags are the flags of the simulate command.
type simulateFlags struct {
	addr         string
	from, to     timeValue
	options      genesystest.Options
	size         choiceValue
	jobTime      lengthValue
	latency      time.Duration
	watermarkLag lengthValue
	faults       []string
}

func newSimulate(p *Process) *cobra.Command {
	f := &simulateFlags{size: choiceValue{genesystest.SizeNormal, []string{genesystest.SizeNormal, genesystest.SizeSmall}}}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Serve a simulated API on a local port",
		Long: `Serve an API that behaves like Genesys Cloud's, with invented conversations, until
it is stopped: to try an export without an organisation, and to see what becomes
of it when things go wrong. API and login host share one address.

The same --seed, --from and --to give the same conversations every time.

A --fault makes some requests fail: KIND:WHAT[:OPTION=VALUE,...], for example
  page:429:after=3,times=2,retry-after=5   the 4th and 5th page are refused
  page:cut:at=0.5,every=10                 every 10th page breaks off half-way
  submit:job-failed                        the first job fails
  any:reset:p=0.02                         2 % of all connections break
docs/simulator.md lists them all.`,
		Example: `  gcexport simulate --addr 127.0.0.1:8080
  gcexport simulate --per-day 500 --fault page:503:every=20`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.bindEnv(cmd); err != nil {
				return err
			}
			return p.runSimulate(cmd.Context(), f)
		},
	}
	fs, o := cmd.Flags(), &f.options
	fs.SortFlags = false
	fs.StringVar(&f.addr, "addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	fs.Uint64Var(&o.Seed, "seed", 1, "decides all data")
	fs.Var(&f.from, "from", "when the first conversation starts (two years before --to)")
	fs.Var(&f.to, "to", "when the last one has started (now)")
	fs.IntVar(&o.PerDay, "per-day", 2000, "conversations on an average day")
	fs.Var(&f.size, "size", "normal: 8 KB in the median, as real ones; small: 500 bytes")
	fs.IntVar(&o.FlawedEvery, "flawed-every", 0, "one of so many conversations has what loaders refuse, such as a key twice")
	fs.IntVar(&o.RequestsPerMinute, "allowance", 300, "requests a minute that a token may make; -1 for no limit")
	fs.IntVar(&o.MaxJobs, "max-jobs", 0, "jobs that may be in the making at once; 0 for no limit")
	fs.Var(&f.jobTime, "job-time", "time that a job takes (200ms)")
	fs.Var(&f.watermarkLag, "watermark-lag", "how far complete data lags behind the clock (1h)")
	fs.DurationVar(&f.latency, "latency", 0, "time before each answer")
	fs.BoolVar(&o.Gzip, "gzip", true, "compress bodies for clients that accept it")
	fs.BoolVar(&o.Pretty, "pretty", false, "indent bodies")
	fs.BoolVar(&o.Chunked, "chunked", false, "send bodies without a Content-Length")
	fs.StringArrayVar(&f.faults, "fault", nil, "what goes wrong; may be given more than once")
	return cmd
}

// server makes the simulator that the flags ask for.
func (f *simulateFlags) server() (*genesystest.Server, error) {
	o := f.options
	o.From, o.To = f.from.Time, f.to.Time
	o.Size, o.GzipLevel = f.size.value, jsonl.DefaultLevel
	o.JobTime, o.WatermarkLag, o.Latency = f.jobTime.Duration, f.watermarkLag.Duration, f.latency
	for _, text := range f.faults {
		fault, err := genesystest.ParseFault(text)
		if err != nil {
			return nil, usageError(fmt.Sprintf("--fault %s: %v", text, err), "see 'gcexport simulate --help'")
		}
		o.Faults = append(o.Faults, fault)
	}
	if err := o.Check(); err != nil {
		return nil, usageError(err.Error(), "see 'gcexport simulate --help'")
	}
	return genesystest.New(o), nil
}

func (p *Process) runSimulate(ctx context.Context, f *simulateFlags) error {
	server, err := f.server()
	if err != nil {
		return err
	}
	url, stop, err := server.Listen(f.addr)
	if err != nil {
		return usageError(err.Error(), "give a free address of this machine, such as 127.0.0.1:0, as --addr")
	}
	defer stop()
	fmt.Fprintf(p.Stdout, `listening on %[1]s
To export from it, set %[2]s=demo and %[3]s=demo, and run
  gcexport export ./out --api-url %[1]s --login-url %[1]s --start TIME --end TIME
`, url, envClientID, envClientSecret)
	<-ctx.Done()
	return nil
}
