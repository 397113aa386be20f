// Command gcexport moves the conversation history of a Genesys Cloud
// organisation into a bucket, as gzipped JSON Lines. Run "gcexport help".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gcexport/gcexport/internal/cli"
)

func main() {
	ctx, interrupt := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		sig := <-signals
		interrupt(cli.Interrupted{Signal: sig})
		time.Sleep(time.Second) // timeout(1) signals the process, and then its group
		signal.Stop(signals)    // a second signal ends the process at once
	}()
	os.Exit(cli.Main(ctx, cli.Process{Args: os.Args[1:], Getenv: os.LookupEnv, Stdout: os.Stdout, Stderr: os.Stderr}))
}
