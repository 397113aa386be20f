package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

func newMan(*Process) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual as man pages",
		Long: `Write a man page for each command into a directory, which is made if it is not
there. Pages that are there already are replaced. SOURCE_DATE_EPOCH sets their date.`,
		Example: `  gcexport man ~/.local/share/man/man1 && man gcexport-export`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("man takes one directory", "see 'gcexport man --help'")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeManual(cmd.Root(), args[0])
		},
	}
}

// writeManual writes the pages of the command and of all below it.
func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return usageError(err.Error(), "name a directory that can be written to")
	}
	forManual(root)
	name, version := program()
	header := &doc.GenManHeader{Section: "1", Source: name + " " + version, Manual: "gcexport"}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("write the manual: %w", err)
	}
	return nil
}

// forManual sets tables in help texts off, so that the manual leaves their lines as
// they are: it takes texts for Markdown.
func forManual(cmd *cobra.Command) {
	var lines []string
	table := false
	for line := range strings.SplitSeq(cmd.Long, "\n") {
		if strings.HasPrefix(line, "  ") {
			if !table {
				lines = append(lines, "")
			}
			table, line = true, "    "+line
		} else {
			table = false
		}
		lines = append(lines, line)
	}
	cmd.Long = strings.Join(lines, "\n")
	for _, child := range cmd.Commands() {
		forManual(child)
	}
}

// complete lets shells offer the words that flags of choices take, in the command
// and in all below it.
func complete(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		choice, ok := flag.Value.(*choiceValue)
		if !ok {
			return
		}
		words := cobra.FixedCompletions(choice.choices, cobra.ShellCompDirectiveNoFileComp)
		if err := cmd.RegisterFlagCompletionFunc(flag.Name, words); err != nil {
			panic(err) // a flag of two commands: a mistake of ours
		}
	})
	for _, child := range cmd.Commands() {
		complete(child)
	}
}
