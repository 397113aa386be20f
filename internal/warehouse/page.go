package warehouse

import (
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// dataset is what the kits load; the folders of diverted records are named
// after it.
const dataset = "conversations"

// page is what a template sees.
type page struct {
	Params
	Warehouse Warehouse
	Views     []view
	Top       []column

	missing  []string
	template *template.Template
}

// cell is a column and the expression that its object stands in.
type cell struct {
	column
	J string
}

func (g *page) funcs() template.FuncMap {
	return template.FuncMap{
		"lit":   literal,
		"chlit": escapedLiteral,
		"sh":    shellWord,
		"need":  g.need,
		"over":  over,
		"from":  func(prefix string, names []string) string { return prefix + strings.Join(names, ", "+prefix) },
		"upper": strings.ToUpper,
		"text":  g.text,
	}
}

// text is the output of a named template.
func (g *page) text(name string, data any) (string, error) {
	var b strings.Builder
	err := g.template.ExecuteTemplate(&b, name, data)
	return b.String(), err
}

// literal quotes s as standard SQL does.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// escapedLiteral quotes s for a SQL in which the backslash escapes.
func escapedLiteral(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// shellWord quotes s for a POSIX shell.
func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// over pairs columns with the expression that they are taken from.
func over(expression string, columns []column) []cell {
	cells := make([]cell, len(columns))
	for i, c := range columns {
		cells[i] = cell{c, expression}
	}
	return cells
}

// need gives the value of a slot, or the word that stands for it.
func (g *page) need(name string) (string, error) {
	s, ok := slotOf(name)
	if !ok {
		return "", fmt.Errorf("no slot %s", name)
	}
	known := map[string]string{"AWS_REGION": g.Region, "STORAGE_ACCOUNT": g.Account}[name]
	for _, value := range []string{g.Set[name], g.Set[placeholderMark+name], known} {
		if value != "" {
			return value, nil
		}
	}
	if !slices.Contains(g.missing, s.name) {
		g.missing = append(g.missing, s.name)
	}
	return placeholderMark + s.name, nil
}

// Envelope reports the record format, ExportDay the layout.
func (g *page) Envelope() bool  { return g.Record == Envelope }
func (g *page) ExportDay() bool { return g.Partition == ExportDay }

// Root is the bucket URL of the export as its user knows it, ending in "/".
func (g *page) Root() string {
	switch g.Cloud {
	case Directory:
		return "file://" + strings.TrimSuffix(g.Dir, "/") + "/"
	case GCS:
		return "gs://" + g.Bucket + "/" + g.Prefix
	case Azure:
		return "azblob://" + g.Bucket + "/" + g.Prefix
	}
	return "s3://" + g.Bucket + "/" + g.Prefix
}

// EndpointHost is the endpoint without its scheme; EndpointTLS is true or false.
func (g *page) EndpointHost() string {
	_, host, _ := strings.Cut(g.Endpoint, "://")
	return host
}

// EndpointTLS reports whether the endpoint is asked over TLS.
func (g *page) EndpointTLS() bool { return strings.HasPrefix(g.Endpoint, "https://") }

// A source is what a table function reads: objects, and how.
type source struct {
	Page                       *page
	Pattern, Format, Structure string
}

// Source is the objects of a folder that match a pattern.
func (g *page) Source(pattern, folder, format, structure string) source {
	return source{g, folder + pattern, format, structure}
}

// events are objects that a queue hears of.
type events struct {
	*page
	Queue string
}

// Events are the new data objects, told to a queue.
func (g *page) Events(queue string) events { return events{g, queue} }

// TransferParams are the parameters of BigQuery's transfer, in JSON.
func (g *page) TransferParams() string {
	return fmt.Sprintf(`{"data_path_template": "%s%s*.jsonl.gz", "destination_table_name_template": "conversations_raw", `+
		`"file_format": "JSON", "write_disposition": "APPEND", "max_bad_records": "0", "ignore_unknown_values": "true"}`, g.Root(), g.Data())
}

// StorageAccount and StorageKey are those of Azure.
func (g *page) StorageAccount() (string, error) { return g.need("STORAGE_ACCOUNT") }
func (g *page) StorageKey() (string, error)     { return g.need("AZURE_STORAGE_KEY") }

// PrefixColumn and RootColumn are where a name begins behind prefix or root, as
// cut counts.
func (g *page) PrefixColumn() int { return len(g.Prefix) + 1 }
func (g *page) RootColumn() int   { return len(g.Root()) + 1 }

// Path is the directory of the export, ending in "/".
func (g *page) Path() string { return strings.TrimSuffix(g.Dir, "/") + "/" }

// Data, Manifests, Oversize and Rejected are folders of the export, below its
// root, ending in "/".
func (*page) Data() string      { return dataset + "/" }
func (*page) Manifests() string { return "_gcexport/" + dataset + "/" }
func (*page) Oversize() string  { return dataset + "_oversize/" }
func (*page) Rejected() string  { return dataset + "_rejected/" }

// Folders are those that a warehouse reads.
func (g *page) Folders() []string {
	folders := []string{g.Data(), g.Manifests()}
	if g.Diverted {
		folders = append(folders, g.Oversize(), g.Rejected())
	}
	return folders
}

// DivertedFolders are those of records that were put aside.
func (g *page) DivertedFolders() []string {
	if !g.Diverted {
		return nil
	}
	return []string{g.Oversize(), g.Rejected()}
}

// Table is the name of the table for a folder.
func (*page) Table(folder string) string { return strings.TrimSuffix(folder, "/") }
