package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
)

// The exit codes; exitCodes says what they mean.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitRefused    = 3
	exitIncomplete = 4
	exitDamage     = 5
)

// A failure is an error as a user meets it: what is wrong, what to do about
// it, and the exit code.
type failure struct {
	code    int
	message string
	hint    string
	topic   topic
	err     error
}

func (f *failure) Error() string { return f.message }
func (f *failure) Unwrap() error { return f.err }

func usageError(message, hint string) error {
	return &failure{code: exitUsage, message: message, hint: hint, topic: topicUsage}
}

// printError prints an error, and a hint where there is one, each on one line, and
// returns the exit code.
func printError(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	f := explain(err)
	if f.message != "" {
		fmt.Fprintf(stderr, "gcexport: error: %s\n", oneLine(f.message))
	}
	if hint := f.advice(); hint != "" {
		fmt.Fprintf(stderr, "gcexport: hint: %s\n", oneLine(hint))
	}
	return f.code
}

// advice is the hint, with the entry of the catalogue; that of usage says no more.
func (f *failure) advice() string {
	switch {
	case f.topic == topicUsage || f.message == "":
		return f.hint
	case f.hint == "":
		return f.topic.see()
	}
	return f.hint + "; " + f.topic.see()
}

// codeOf is the exit code of an error.
func codeOf(err error) int {
	if err == nil {
		return exitOK
	}
	return explain(err).code
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// explain finds the exit code and the hint for an error. It is the one place
// where errors of the packages below become words for users.
func explain(err error) *failure {
	var (
		known       *failure
		interrupted Interrupted
		api         *genesys.Error
		overlap     *export.OverlapError
		format      *export.RecordFormatError
		partition   *export.PartitionError
		conn        *genesys.ConnError
		stray       *export.StrayError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &interrupted):
		return &failure{code: interruptCode(interrupted), message: err.Error(), topic: topicInterrupted,
			hint: "what was committed is kept; run the same command again to go on"}
	case errors.As(err, &overlap):
		return &failure{code: exitUsage, message: overlap.Error(), topic: topicOpenChunk, hint: fmt.Sprintf(
			"finish that chunk first with --start %s --end %s and its own length as --chunk, or export to another prefix",
			rfc3339(overlap.Open.Start), rfc3339(overlap.Open.End))}
	case errors.As(err, &partition):
		return &failure{code: exitUsage, message: partition.Error(), topic: topicPartition,
			hint: fmt.Sprintf("loaders want names of one kind: go on with --partition %s, or export to another prefix", partition.Have)}
	case errors.As(err, &format):
		return &failure{code: exitUsage, message: format.Error(), topic: topicFormat,
			hint: fmt.Sprintf("loaders want records of one kind: go on with --record %s, or export to another prefix", format.Have)}
	case errors.Is(err, export.ErrOverwrites):
		return &failure{code: exitUsage, message: err.Error(), topic: topicOverwrites,
			hint: "with such a store two processes could replace each other's objects: take one that honours If-None-Match on PUT, or a newer version of it"}
	case errors.As(err, &api):
		return explainAPI(err, api)
	case errors.As(err, &conn), errors.Is(err, errSilent):
		return explainConn(err)
	case errors.As(err, &stray):
		return &failure{code: exitFailed, message: err.Error(), topic: topicStray, hint: "the record cannot be assigned to a chunk; please report it with the API's correlation id"}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{code: exitFailed, message: err.Error(), topic: topicOther}
	}
	return explainStore(err)
}

func interruptCode(i Interrupted) int {
	if sig, ok := i.Signal.(syscall.Signal); ok {
		return 128 + int(sig)
	}
	return exitFailed
}
