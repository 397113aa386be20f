package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/internal/warehouse"
)

// warehouseFlags are the flags of the warehouse command.
type warehouseFlags struct {
	bucket            string
	record, partition choiceValue
	params            warehouse.Params
	set               []string
	out               string
}

func newWarehouse(p *Process) *cobra.Command {
	f := &warehouseFlags{
		record:    choiceValue{warehouse.Raw, []string{warehouse.Raw, warehouse.Envelope}},
		partition: choiceValue{warehouse.Day, []string{warehouse.Day, warehouse.ExportDay}},
	}
	cmd := &cobra.Command{
		Use:   "warehouse [NAME --bucket URL]",
		Short: "Print what a warehouse needs to load an export by itself",
		Long: `Print a loader kit: permissions, tables, the pipe or job that loads each new
object, event notifications, views of conversations, participants, sessions,
segments, metrics, attributes, evaluations and surveys, and a query that
reconciles rows with manifests. Without a name, list the warehouses.

Nothing is opened or run. --record and --partition must be those of the export.
What gcexport cannot know stands in the kit as a word that begins with REPLACE_;
the head of the kit lists them. docs/warehouses.md leads from the bucket to the
first query.`,
		Example: `  gcexport warehouse
  gcexport warehouse duckdb --bucket ./out | duckdb
  gcexport warehouse snowflake --bucket s3://bucket/genesys --set AWS_ACCOUNT_ID=123456789012 --out kit`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: warehouseNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.bindEnv(cmd); err != nil {
				return err
			}
			if len(args) == 0 {
				return p.listWarehouses()
			}
			return p.runWarehouse(f, args[0])
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.bucket, "bucket", "", "the export's bucket URL, or its directory")
	fs.Var(&f.record, "record", "format of its records")
	fs.Var(&f.partition, "partition", "what its folders dt= stand for")
	fs.BoolVar(&f.params.Diverted, "diverted", false, "tables for records that it put aside, too")
	fs.StringVar(&f.params.Database, "database", "", "database or catalog (Snowflake, Databricks)")
	fs.StringVar(&f.params.Schema, "schema", "", "schema or dataset that all is made in (genesys)")
	fs.StringVar(&f.params.Role, "role", "", "role that may read the views (genesys_reader)")
	fs.StringSliceVar(&f.set, "set", nil, "WORD=VALUE: what a REPLACE_ word stands for; may be given more than once")
	fs.StringVar(&f.out, "out", "", "directory to write the steps to, each as a file")
	return cmd
}

func (p *Process) listWarehouses() error {
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	for _, h := range warehouse.List() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", h.Name, strings.Join(h.Clouds, ", "), h.Title)
	}
	return w.Flush()
}

// warehouseNames are for completion.
func warehouseNames() (names []string) {
	for _, h := range warehouse.List() {
		names = append(names, h.Name)
	}
	return names
}

func (p *Process) runWarehouse(f *warehouseFlags, name string) error {
	params, err := f.parse(p)
	if err != nil {
		return err
	}
	kit, err := warehouse.Make(name, params)
	var refusal *warehouse.Refusal
	if errors.As(err, &refusal) {
		return usageError(refusal.Message, refusal.Hint)
	}
	if err != nil {
		return fmt.Errorf("make the kit: %w", err)
	}
	if f.out != "" {
		return p.writeKit(kit, f.out)
	}
	_, err = fmt.Fprint(p.Stdout, kit.Script())
	return err
}

// cloudOf is the word of a kit for the scheme of a bucket URL.
func cloudOf(scheme string) string {
	switch scheme {
	case "s3":
		return warehouse.S3
	case "gs":
		return warehouse.GCS
	case "azblob":
		return warehouse.Azure
	}
	return warehouse.Directory
}

// parse makes the parameters that the flags ask for. Azure's account may also
// stand where the export looks for it.
func (f *warehouseFlags) parse(p *Process) (warehouse.Params, error) {
	w := f.params
	if f.bucket == "" {
		return w, usageError("--bucket is missing", "give the bucket URL of the export, for example --bucket s3://bucket/genesys")
	}
	at, err := store.Locate(f.bucket)
	if err != nil {
		return w, err
	}
	w.Cloud, w.Bucket, w.Dir, w.Prefix = cloudOf(at.Scheme), at.Bucket, at.Dir, at.Prefix
	w.Region, w.Endpoint, w.Account = at.Region, at.Endpoint, at.Account
	if account, ok := p.Getenv("AZURE_STORAGE_ACCOUNT"); ok && w.Cloud == warehouse.Azure && w.Account == "" {
		w.Account = account
	}
	w.Record, w.Partition, w.Set = f.record.value, f.partition.value, map[string]string{}
	for _, s := range f.set {
		word, value, ok := strings.Cut(s, "=")
		if !ok {
			return w, usageError(fmt.Sprintf("--set %s: want WORD=VALUE", s), "for example --set AWS_ACCOUNT_ID=123456789012")
		}
		w.Set[strings.TrimPrefix(word, "REPLACE_")] = value
	}
	return w, nil
}

// writeKit writes each step to a new file in dir, and says which. Where one of
// them exists, it writes none.
func (p *Process) writeKit(kit *warehouse.Kit, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return usageError(fmt.Sprintf("--out: %v", err), "give a directory that can be written to")
	}
	for _, f := range kit.Files {
		path := filepath.Join(dir, f.Name)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return usageError(fmt.Sprintf("--out: %s exists already", path), "give another directory; files are never overwritten")
		}
	}
	for _, f := range kit.Files {
		path := filepath.Join(dir, f.Name)
		if err := createFile(path, kit.Text(f)); err != nil {
			return usageError(fmt.Sprintf("--out: %v", err), "give an empty directory that can be written to")
		}
		fmt.Fprintf(p.Stdout, "%s\t%s\n", path, f.Title)
	}
	for _, r := range kit.Replace {
		fmt.Fprintf(p.Stdout, "replace %s: %s\n", r.Word, r.Meaning)
	}
	return nil
}

// createFile writes a file that must not exist.
func createFile(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(text)
	return err
}
