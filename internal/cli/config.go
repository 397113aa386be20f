package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// A file of settings stands behind the environment: what it says is taken where
// neither a flag nor a variable says otherwise. Its keys are the names of flags,
// and these.
const (
	keyBucket       = "bucket"
	keyClientID     = "client-id-file"
	keyClientSecret = "client-secret-file"
	keyProfiles     = "profiles"

	flagConfig  = "config"
	flagProfile = "profile"
)

// settings are what a file says, by the variable that it stands for.
type settings struct {
	values  map[string]string
	origins map[string]string // where each value stands
}

// variable is the variable that a key of the file stands for.
func variable(key string) string {
	switch key {
	case "region":
		return envRegion // so that the variable of the official tools comes first
	case keyClientID:
		return envClientID + "_FILE"
	case keyClientSecret:
		return envClientSecret + "_FILE"
	}
	return envName(key)
}

// configure reads the file of settings that flag or environment name, and puts it
// behind the environment.
func (p *Process) configure(cmd *cobra.Command) error {
	if p.settings.values != nil {
		return nil
	}
	path, profile := p.chosen(cmd, flagConfig), p.chosen(cmd, flagProfile)
	if path == "" {
		if profile != "" {
			return usageError("--profile is given, and no --config", "profiles stand in a file of settings: give it as --config, or in "+envName(flagConfig))
		}
		return nil
	}
	s, err := readSettings(path, profile, known(cmd.Root()))
	if err != nil {
		return err
	}
	p.settings = *s
	env := p.Getenv
	p.Getenv = func(name string) (string, bool) {
		if value, ok := env(name); ok && value != "" {
			return value, true
		}
		// Files of the other credential must not meet variables of the same.
		if bare, isFile := strings.CutSuffix(name, "_FILE"); isFile {
			if value, ok := env(bare); ok && value != "" {
				return "", false
			}
		}
		value, ok := s.values[name]
		return value, ok
	}
	return nil
}

// chosen is the value of a flag of the root, or of its variable.
func (p *Process) chosen(cmd *cobra.Command, flag string) string {
	if f := cmd.Root().PersistentFlags().Lookup(flag); f.Changed {
		return f.Value.String()
	}
	value, _ := p.Getenv(envName(flag))
	return value
}

// known are the keys that a file may hold: the flags of all commands, and those
// that are none.
func known(root *cobra.Command) []string {
	keys := []string{keyBucket, keyClientID, keyClientSecret}
	for _, c := range root.Commands() {
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && f.Name != flagConfig && f.Name != flagProfile && !slices.Contains(keys, f.Name) {
				keys = append(keys, f.Name)
			}
		})
	}
	slices.Sort(keys)
	return keys
}

// maxSettings bounds what is read of a file of settings.
const maxSettings = 1 << 20

// readSettings reads the file: what it says for all, and above that what the
// profile says.
func readSettings(path, profile string, keys []string) (*settings, error) {
	file, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.New("there is no such file")
		}
		return nil, usageError(fmt.Sprintf("--config %s: %v", path, err), "give the path of a YAML file: docs/configuration.md")
	}
	defer file.Close()
	doc, err := decodeSettings(file)
	if err != nil {
		return nil, usageError(fmt.Sprintf("%s is not a file of settings: %v", path, err), "it is YAML, one 'flag: value' a line: docs/configuration.md")
	}
	profiles := map[string]map[string]yaml.Node{}
	if node, ok := doc[keyProfiles]; ok {
		if err := node.Decode(&profiles); err != nil {
			return nil, usageError(fmt.Sprintf("%s: line %d: profiles are not settings by name", path, node.Line), "docs/configuration.md has an example")
		}
		delete(doc, keyProfiles)
	}
	s := &settings{values: map[string]string{}, origins: map[string]string{}}
	if err := s.take(doc, path, keys); err != nil || profile == "" {
		return s, err
	}
	if _, ok := profiles[profile]; !ok {
		return nil, usageError(fmt.Sprintf("%s has no profile %q", path, profile), "it has: "+strings.Join(sortedKeys(profiles), ", "))
	}
	return s, s.take(profiles[profile], path+", profile "+profile, keys)
}

// decodeSettings reads the one document of a file of settings, which may be empty.
func decodeSettings(file io.Reader) (doc map[string]yaml.Node, err error) {
	text, err := readUpTo(file, maxSettings)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&doc); err != nil && err != io.EOF {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); err != io.EOF {
		return nil, errors.New("it has a second document, behind a line ---")
	}
	return doc, nil
}

// take takes over settings, which stand at origin.
func (s *settings) take(from map[string]yaml.Node, origin string, keys []string) error {
	for _, key := range sortedKeys(from) {
		node := from[key]
		if !slices.Contains(keys, key) {
			return usageError(fmt.Sprintf("%s: line %d: %q is no setting", origin, node.Line, key), suggest(key, keys))
		}
		if node.Kind != yaml.ScalarNode {
			return usageError(fmt.Sprintf("%s: line %d: %s is not one value", origin, node.Line, key), "write it as on the command line")
		}
		s.values[variable(key)] = node.Value
		s.origins[variable(key)] = fmt.Sprintf("%s, line %d", origin, node.Line)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// suggest says which key may be meant.
func suggest(key string, keys []string) string {
	if strings.Contains(key, "secret") || strings.Contains(key, "password") || strings.Contains(key, "token") {
		return "secrets do not stand in a file of settings: name a file that holds it as " + keyClientSecret
	}
	best, least := "", len(key)/2+1
	for _, k := range keys {
		if d := distance(strings.ReplaceAll(strings.ToLower(key), "_", "-"), k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return "settings are named as the flags: docs/configuration.md"
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance is how many letters must be put in, left out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := before
			if a[i] != b[j] {
				changed++
			}
			before = row[j+1]
			row[j+1] = min(changed, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// originOf says where a variable's value comes from, for messages.
func (p *Process) originOf(name string) string {
	if origin, ok := p.settings.origins[name]; ok {
		if value, _ := p.Getenv(name); value == p.settings.values[name] {
			return origin
		}
	}
	return name
}

func newConfig(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show what the settings are, and where they come from",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Print the settings of an export with their origin",
		Long: `Print each setting of 'gcexport export' as it would be in force: the value, and
whether it comes from a variable, from the file of --config, or is the default. Of
credentials it is only said whether they are given, and where.`,
		Example: `  gcexport config show --config gcexport.yaml --profile emea`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.configure(cmd); err != nil {
				return err
			}
			return p.showConfig(cmd)
		},
	})
	return cmd
}

// showConfig is the command 'config show'.
func (p *Process) showConfig(cmd *cobra.Command) error {
	export, _, err := cmd.Root().Find([]string{"export"})
	if err != nil {
		return fmt.Errorf("find the export command: %w", err)
	}
	tw := tabwriter.NewWriter(p.Stdout, 0, 8, 2, ' ', 0)
	row := func(key, value, origin string) { fmt.Fprintf(tw, "%s\t%s\t%s\n", key, value, origin) }
	row("SETTING", "VALUE", "FROM")
	bucket, _ := p.Getenv(envName(keyBucket))
	if strings.Contains(bucket, "://") { // else it is a path, which may have an @
		bucket = withoutUser(bucket)
	}
	row(keyBucket, bucket, p.whence(envName(keyBucket)))
	for _, name := range []string{envClientID, envClientSecret} {
		value, origin := "not given", ""
		for _, n := range []string{name, name + "_FILE"} {
			if v, _ := p.Getenv(n); v != "" && origin == "" {
				value, origin = "given", p.whence(n)
			}
		}
		row(name, value, origin)
	}
	var failed error
	export.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		name := variable(f.Name)
		if v, ok := p.Getenv(envName(f.Name)); ok && v != "" {
			name = envName(f.Name)
		}
		value, origin := f.Value.String(), "default"
		if v, ok := p.Getenv(name); ok && v != "" {
			if err := f.Value.Set(v); err != nil && failed == nil {
				failed = badFlag(export, p.originOf(name), err)
			}
			value, origin = f.Value.String(), p.whence(name)
		}
		if slices.Contains([]string{"api-url", "login-url", "pushgateway"}, f.Name) {
			value = withoutUser(value)
		}
		row(f.Name, value, origin)
	})
	if failed != nil {
		return failed
	}
	return tw.Flush()
}

// whence is originOf for a table.
func (p *Process) whence(name string) string {
	if v, _ := p.Getenv(name); v == "" {
		return ""
	}
	if origin := p.originOf(name); origin != name {
		return origin
	}
	return "variable " + name
}

// withoutUser leaves out name and password, all before the last @, of what is or
// should have been a URL.
func withoutUser(url string) string {
	at := strings.LastIndexByte(url, '@')
	if at < 0 {
		return url
	}
	scheme, _, ok := strings.Cut(url[:at], "://")
	if !ok {
		return url[at+1:]
	}
	return scheme + "://" + url[at+1:]
}
