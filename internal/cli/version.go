package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// program names the program and its version, for manifests, the User-Agent and
// the version command.
func program() (name, version string) {
	version = "devel"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "gcexport", version
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		version = v
	}
	return "gcexport", version
}

func newVersion(*Process) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			name, version := program()
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s %s/%s\n", name, version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
