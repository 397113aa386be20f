// Package cli is the command line of gcexport: it turns flags, environment and
// files into calls of the other packages, and their results into text, logs,
// hints and exit codes. It is the only place that knows all of them; nothing
// here knows how the work is done.
//
// [Main] is the whole program but for signals and os.Exit, so that tests run
// what users run.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A Process is what the operating system gives a program.
type Process struct {
	// Args are the arguments, without the program's name.
	Args []string
	// Getenv is os.LookupEnv.
	Getenv func(string) (string, bool)
	// Stdout takes the result, Stderr logs, progress and errors.
	Stdout, Stderr io.Writer

	settings settings // of the file that stands behind the environment
}

// Main runs the program and returns its exit code (see [exitCodes]). The end of
// ctx stops it; where the cause is an [Interrupted], the exit code tells.
func Main(ctx context.Context, p Process) int {
	root := newRoot(&p)
	root.SetArgs(p.Args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	select {
	case err := <-ended:
		return printError(p.Stderr, causeOf(ctx, err))
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return printError(p.Stderr, causeOf(ctx, err))
	case <-time.After(farewell):
		// The process is about to end, and with it what hangs.
		return printError(p.Stderr, hung(context.Cause(ctx)))
	}
}

// causeOf gives the cause for which ctx has ended in place of an error which only
// says that it has.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// farewell is how long a command has to end once ctx has ended: to abort its
// uploads, delete its jobs and write its summary. A bucket or an API that gives
// no answer would take longer, and whoever waits for the process, such as
// Kubernetes, would kill it without a word.
const farewell = 9 * time.Second

// hung is the error of a command that has not ended in time.
func hung(cause error) error {
	f := explain(cause)
	f.message = fmt.Sprintf("%v; bucket or API gave no answer for %v", cause, farewell)
	f.hint = "what was committed is kept; run the same command again to go on. An upload may be left open: a lifecycle rule removes those, see docs/operations.md"
	return f
}

// Interrupted is the cause of a context that a signal ended.
type Interrupted struct{ Signal os.Signal }

func (i Interrupted) Error() string { return fmt.Sprintf("stopped by %s", i.name()) }

func (i Interrupted) name() string {
	switch i.Signal {
	case os.Interrupt:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	}
	return i.Signal.String()
}

const exitCodes = `Exit codes:
  0        all that was asked for is exported and committed
  1        failed; trying again may help
  2        wrong usage or configuration
  3        refused: credentials or permissions, of the API or of the bucket
  4        finished, but some chunks failed or lie beyond the watermark; the rest is committed
  5        damage found in the bucket
  130 143  interrupted by SIGINT or SIGTERM; all that was committed is kept`

func newRoot(p *Process) *cobra.Command {
	root := &cobra.Command{
		Use:   "gcexport",
		Short: "Move Genesys Cloud conversation history into a bucket",
		Long: `gcexport moves the conversation history of a Genesys Cloud organisation into a
bucket (S3, GCS, Azure Blob, or a directory) as gzipped JSON Lines: each
conversation once, byte for byte as the API gave it, in files that appear whole
and are never changed. To go on after any kind of end, run the same command again.

` + exitCodes,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		Args:              cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(fmt.Sprintf("unknown command %q", args[0]), suggestions(cmd, args[0]))
			}
			return cmd.Help()
		},
	}
	root.PersistentFlags().String(flagConfig, "", "YAML file of settings, which stands behind flags and environment")
	root.PersistentFlags().String(flagProfile, "", "profile in that file")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var invalid *pflag.InvalidValueError
		if errors.As(err, &invalid) {
			return badFlag(cmd, "--"+invalid.GetFlag().Name, invalid.Unwrap())
		}
		return usageError(err.Error(), fmt.Sprintf("see '%s --help'", cmd.CommandPath()))
	})
	root.AddCommand(newExport(p), newPlan(p), newVerify(p), newReport(p), newDoctor(p), newConfig(p), newWarehouse(p), newSimulate(p), newMan(p), newVersion(p))
	complete(root)
	return root
}

// badFlag is the error of a value that a flag, or the variable that stands for
// it, does not take.
func badFlag(cmd *cobra.Command, name string, err error) error {
	return usageError(fmt.Sprintf("%s: %v", name, err), fmt.Sprintf("see '%s --help'", cmd.CommandPath()))
}

func suggestions(cmd *cobra.Command, arg string) string {
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(arg); len(s) > 0 {
		return fmt.Sprintf("did you mean '%s %s'?", cmd.CommandPath(), s[0])
	}
	return "see 'gcexport --help'"
}
