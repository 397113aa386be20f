package warehouse

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The clouds of a bucket.
const (
	S3        = "s3"
	GCS       = "gcs"
	Azure     = "azure"
	Directory = "directory"
)

// The formats of a record, as the export's --record names them.
const (
	// Raw is the API's own object as a line.
	Raw = "raw"
	// Envelope is a line of fixed columns with the API's object in one of them.
	Envelope = "envelope"
)

// What the folders dt= stand for, as the export's --partition names it.
const (
	// Day is the UTC date of the chunk's start.
	Day = "day"
	// ExportDay is the UTC date of the export; names only grow.
	ExportDay = "export-day"
)

// Params say for which bucket, and under which names, a kit is made.
type Params struct {
	// Cloud is one of [S3], [GCS], [Azure], [Directory].
	Cloud string
	// Bucket is the bucket or container; Dir the absolute path of a directory.
	Bucket, Dir string
	// Prefix is what all names in the bucket begin with: "", or ending in "/".
	Prefix string
	// Region is the bucket's region, Endpoint the host of an S3-compatible
	// store, Account the Azure storage account; each empty where not known.
	Region, Endpoint, Account string
	// Record is [Raw] or [Envelope]; empty means Raw.
	Record string
	// Partition is [Day] or [ExportDay]; empty means Day.
	Partition string
	// Diverted adds tables for records that the export has put aside.
	Diverted bool
	// Database, Schema and Role are names in the warehouse: what the kit makes
	// its objects in, and who may read them. Empty means a default.
	Database, Schema, Role string
	// Set are values for REPLACE_ words, by the word without REPLACE_.
	Set map[string]string
}

// A Refusal says what is wrong with [Params], and what to do about it.
type Refusal struct{ Message, Hint string }

func (r *Refusal) Error() string { return r.Message }

func refuse(hint, format string, args ...any) error {
	return &Refusal{Message: fmt.Sprintf(format, args...), Hint: hint}
}

var (
	// The names that clouds give buckets hold nothing that any language quotes.
	bucketName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`)
	prefixName  = regexp.MustCompile(`^([A-Za-z0-9._=-]+/)*$`)
	regionName  = regexp.MustCompile(`^[a-z0-9-]{2,40}$`)
	endpointURL = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$`)
	accountName = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	identifier  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)
)

// reserved are words that at least one warehouse does not take as a plain name.
var reserved = []string{
	"all", "and", "any", "array", "as", "between", "by", "case", "cast", "column", "create", "cross", "current",
	"database", "default", "delete", "distinct", "drop", "else", "end", "exists", "external", "false", "for", "from",
	"full", "function", "grant", "group", "having", "if", "in", "inner", "insert", "interval", "into", "is", "join",
	"lateral", "left", "like", "limit", "merge", "no", "not", "null", "of", "on", "or", "order", "outer", "over",
	"partition", "public", "range", "right", "role", "row", "rows", "schema", "select", "set", "some", "start",
	"table", "then", "to", "trigger", "true", "union", "unique", "unnest", "update", "user", "using", "values",
	"view", "when", "where", "window", "with",
}

// check wants each value to have a form that no language reads as more than a
// name.
func (p *Params) check() error {
	for _, v := range []struct {
		what, value string
		form        *regexp.Regexp
	}{
		{"region", p.Region, regionName},
		{"endpoint", p.Endpoint, endpointURL},
		{"storage account", p.Account, accountName},
	} {
		if v.value != "" && !v.form.MatchString(v.value) {
			return refuse("see 'gcexport warehouse --help'", "%q is not the %s of a bucket", v.value, v.what)
		}
	}
	if err := p.checkPlace(); err != nil {
		return err
	}
	if !slices.Contains([]string{Raw, Envelope}, p.Record) {
		return refuse("known are raw and envelope", "record format %q is not known", p.Record)
	}
	if !slices.Contains([]string{Day, ExportDay}, p.Partition) {
		return refuse("known are day and export-day", "partition %q is not known", p.Partition)
	}
	for _, v := range []struct{ flag, value string }{{"--database", p.Database}, {"--schema", p.Schema}, {"--role", p.Role}} {
		if err := checkName(v.flag, v.value); err != nil {
			return err
		}
	}
	return nil
}

func checkName(flag, name string) error {
	if !identifier.MatchString(name) {
		return refuse("names are letters, digits and _, beginning with a letter, 63 at most", "%s: %q is not a plain name", flag, name)
	}
	if slices.Contains(reserved, strings.ToLower(name)) {
		return refuse("take another name", "%s: %q is a word of SQL", flag, name)
	}
	return nil
}

// checkPlace looks at what says where the objects are.
func (p *Params) checkPlace() error {
	if p.Cloud == Directory {
		return checkDir(p.Dir)
	}
	if !slices.Contains([]string{S3, GCS, Azure}, p.Cloud) {
		return refuse("known are s3, gcs, azure and directory", "cloud %q is not known", p.Cloud)
	}
	if !bucketName.MatchString(p.Bucket) || strings.Contains(p.Bucket, "..") {
		return refuse("give it as scheme://bucket/prefix", "%q is not the name of a bucket", p.Bucket)
	}
	if !prefixName.MatchString(p.Prefix) {
		return refuse("names in a bucket may hold letters, digits and . _ = - only, because loaders see others escaped",
			"%q cannot be the prefix of an export", p.Prefix)
	}
	if strings.HasPrefix(p.Prefix, "dt=") || strings.Contains(p.Prefix, "/dt=") {
		return refuse("export to a prefix without it", "the prefix %q holds a folder dt=, which loaders take for the export's own", p.Prefix)
	}
	return nil
}

// checkDir refuses what a loader's pattern of file names, or a comment, would
// read as more than a name.
func checkDir(dir string) error {
	if !strings.HasPrefix(dir, "/") {
		return refuse("give it as file:///absolute/directory", "%q is not an absolute path", dir)
	}
	strange := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\ufffd' }
	if strings.ContainsAny(dir, `*?[]{}\`) || strings.ContainsFunc(dir, strange) {
		return refuse("move the export to a plain path, or make a symbolic link to it",
			"the path %q holds characters that loaders read as patterns", dir)
	}
	return nil
}
