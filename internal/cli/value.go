package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

// timeValue is a flag that takes a date or an RFC 3339 instant.
type timeValue struct{ time.Time }

// Set implements pflag.Value. Besides what [interval.ParseTime] takes, "today" is
// the last midnight in UTC and "yesterday" the one before it, for runs by the clock.
func (v *timeValue) Set(s string) (err error) {
	midnight := time.Now().UTC().Truncate(interval.Day)
	switch s {
	case "today":
		v.Time = midnight
	case "yesterday":
		v.Time = midnight.Add(-interval.Day)
	default:
		v.Time, err = interval.ParseTime(s)
	}
	return err
}

// Type implements pflag.Value; it is the word in the help.
func (v *timeValue) Type() string { return "time" }

func (v *timeValue) String() string {
	if v.IsZero() {
		return ""
	}
	return rfc3339(v.Time)
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// lengthValue is a flag that takes a positive length of time, days and weeks too.
type lengthValue struct{ time.Duration }

// Set implements pflag.Value.
func (v *lengthValue) Set(s string) (err error) {
	v.Duration, err = interval.ParseLength(s)
	return err
}

// Type implements pflag.Value.
func (v *lengthValue) Type() string { return "length" }

func (v *lengthValue) String() string {
	switch {
	case v.Duration == 0:
		return ""
	case v.Duration%time.Hour == 0:
		return fmt.Sprintf("%dh", v.Duration/time.Hour)
	case v.Duration%time.Minute == 0:
		return fmt.Sprintf("%dm", v.Duration/time.Minute)
	}
	return v.Duration.String()
}

// shardValue is a flag that takes i/n.
type shardValue struct{ export.Shard }

// Set implements pflag.Value.
func (v *shardValue) Set(s string) error {
	i, n, ok := strings.Cut(s, "/")
	index, err1 := strconv.Atoi(i)
	count, err2 := strconv.Atoi(n)
	if !ok || err1 != nil || err2 != nil || count < 1 {
		return fmt.Errorf("%q is not a shard: want i/n, for example 0/4", s)
	}
	v.Shard = export.Shard{Index: index, Count: count}
	return v.Validate()
}

// Type implements pflag.Value.
func (v *shardValue) Type() string { return "i/n" }

func (v *shardValue) String() string {
	if v.Count == 0 {
		return ""
	}
	return v.Shard.String()
}

// choiceValue is a flag that takes one of a few words.
type choiceValue struct {
	value   string
	choices []string
}

// Set implements pflag.Value.
func (v *choiceValue) Set(s string) error {
	for _, c := range v.choices {
		if s == c {
			v.value = s
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %s", s, strings.Join(v.choices, ", "))
}

// Type implements pflag.Value.
func (v *choiceValue) Type() string { return strings.Join(v.choices, "|") }

func (v *choiceValue) String() string { return v.value }

// intRange is a flag that takes a whole number between two bounds.
type intRange struct{ value, low, high int }

// Set implements pflag.Value.
func (v *intRange) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < v.low || n > v.high {
		return fmt.Errorf("%q is not a whole number from %d to %d", s, v.low, v.high)
	}
	v.value = n
	return nil
}

// Type implements pflag.Value.
func (v *intRange) Type() string { return "n" }

func (v *intRange) String() string { return strconv.Itoa(v.value) }

// sizeValue is a flag that takes a number of bytes, such as 4MB or 16MiB; 0
// stands for no bound.
type sizeValue struct{ bytes int64 }

// Set implements pflag.Value.
func (v *sizeValue) Set(s string) error {
	n, err := humanize.ParseBytes(s)
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q is not a size: want bytes, or for example 4MB or 16MiB", s)
	}
	v.bytes = int64(n)
	return nil
}

// Type implements pflag.Value.
func (v *sizeValue) Type() string { return "size" }

func (v *sizeValue) String() string {
	return strings.ReplaceAll(humanize.Bytes(uint64(v.bytes)), " ", "")
}

// percentValue is a flag that takes a percentage, with or without the sign.
type percentValue struct{ value, high int }

// Set implements pflag.Value.
func (v *percentValue) Set(s string) error {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	if err != nil || n < 0 || n > v.high {
		return fmt.Errorf("%q is not a percentage from 0%% to %d%%", s, v.high)
	}
	v.value = n
	return nil
}

// Type implements pflag.Value.
func (v *percentValue) Type() string { return "percent" }

func (v *percentValue) String() string { return strconv.Itoa(v.value) + "%" }

const envPrefix = "GCEXPORT_"

// envName is the variable that stands for a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// bindEnv sets the flags that are not on the command line from the environment.
func (p *Process) bindEnv(cmd *cobra.Command) error {
	if err := p.configure(cmd); err != nil {
		return err
	}
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if failed != nil || f.Changed || f.Name == "help" || f.Name == flagConfig || f.Name == flagProfile {
			return
		}
		value, ok := p.Getenv(envName(f.Name))
		if !ok || value == "" {
			return
		}
		if err := f.Value.Set(value); err != nil {
			failed = badFlag(cmd, p.originOf(envName(f.Name)), err)
		}
	})
	return failed
}
