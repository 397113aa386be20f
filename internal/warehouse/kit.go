package warehouse

import (
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// A Warehouse is one that kits can be made for.
type Warehouse struct {
	// Name is what the command takes.
	Name string
	// Title says in one line what the kit makes.
	Title string
	// Clouds are where it reads from.
	Clouds []string
	// Database, Schema and Role are the defaults of these [Params].
	Database, Schema, Role string

	// endpoint is whether it reads from S3-compatible stores too.
	endpoint bool
}

var warehouses = []Warehouse{
	{"athena", "external table on S3, queried in place", []string{S3}, "awsdatacatalog", "genesys", "genesys_reader", false},
	{"bigquery", "table on GCS, loaded by the Data Transfer Service or a scheduled query", []string{GCS}, "project", "genesys", "genesys_reader", false},
	{"clickhouse", "table loaded by S3Queue or AzureQueue as objects arrive, or from a directory", []string{S3, GCS, Azure, Directory}, "dflt", "genesys", "genesys_reader", true},
	{"databricks", "streaming table that Auto Loader feeds (read_files)", []string{S3, GCS, Azure}, "main", "genesys", "genesys_reader", false},
	{"duckdb", "views on the bucket or on a directory, queried in place", []string{S3, GCS, Azure, Directory}, "memory", "genesys", "genesys_reader", true},
	{"fabric", "views of a Microsoft Fabric warehouse on Azure, queried in place", []string{Azure}, "warehouse", "genesys", "genesys_reader", false},
	{"postgres", "table loaded by psql, each object in one transaction", []string{S3, GCS, Azure, Directory}, "postgres", "genesys", "genesys_reader", true},
	{"redshift", "table loaded by a COPY JOB as objects arrive", []string{S3}, "dev", "genesys", "genesys_reader", false},
	{"snowflake", "table loaded by Snowpipe as objects arrive", []string{S3, GCS, Azure}, "genesys", "genesys", "genesys_reader", false},
}

// List gives all warehouses, in order of their names.
func List() []Warehouse { return slices.Clone(warehouses) }

// A File is one step of a kit.
type File struct {
	// Name is numbered, in the order of the steps: 01_tables.sql.
	Name string
	// Title says what the step does.
	Title string
	// Body is the text, ending in a line end.
	Body string
}

// A Kit is what has to be run for a warehouse to load an export, in order.
type Kit struct {
	// Heading names warehouse and bucket.
	Heading string
	// Replace are the words that the user replaces first; often none.
	Replace []Placeholder
	// Files are the steps.
	Files []File
}

// Make makes the kit for the warehouse of that name. Its error is a *[Refusal]
// where name or p are to blame.
func Make(name string, p Params) (*Kit, error) {
	i := slices.IndexFunc(warehouses, func(w Warehouse) bool { return w.Name == name })
	if i < 0 {
		return nil, refuse("'gcexport warehouse' lists those that are", "warehouse %q is not known", name)
	}
	w := warehouses[i]
	p = p.defaults(w)
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := checkSet(p.Set); err != nil {
		return nil, err
	}
	if !slices.Contains(w.Clouds, p.Cloud) {
		return nil, refuse("a kit for it can be made on "+strings.Join(w.Clouds, ", "), "%s does not load from %s", w.Name, clouds[p.Cloud])
	}
	if p.Endpoint != "" && (p.Cloud != S3 || !w.endpoint) {
		return nil, refuse("clickhouse, duckdb and postgres read S3-compatible stores", "%s does not load from the endpoint %s", w.Name, p.Endpoint)
	}
	return p.render(w)
}

var clouds = map[string]string{S3: "S3", GCS: "Google Cloud Storage", Azure: "Azure Blob Storage", Directory: "a directory"}

// defaults fills what is empty.
func (p Params) defaults(w Warehouse) Params {
	for _, v := range []struct {
		field *string
		value string
	}{{&p.Record, Raw}, {&p.Partition, Day}, {&p.Database, w.Database}, {&p.Schema, w.Schema}, {&p.Role, w.Role}} {
		if *v.field == "" {
			*v.field = v.value
		}
	}
	return p
}

//go:embed templates/*.tmpl
var templates embed.FS

// render runs the template of a warehouse and takes its output apart.
func (p Params) render(w Warehouse) (*Kit, error) {
	page := &page{Params: p, Warehouse: w, Views: views, Top: topColumns}
	t, err := template.New(w.Name).Funcs(page.funcs()).Option("missingkey=error").
		ParseFS(templates, "templates/shared.tmpl", "templates/"+w.Name+".tmpl")
	if err != nil {
		return nil, fmt.Errorf("parse template: %w", err)
	}
	page.template = t
	var text bytes.Buffer
	if err := t.ExecuteTemplate(&text, w.Name+".tmpl", page); err != nil {
		return nil, fmt.Errorf("run template: %w", err)
	}
	k := &Kit{Heading: fmt.Sprintf("%s on %s (%s records)", w.Name, page.Root(), p.Record)}
	for _, s := range slots {
		if slices.Contains(page.missing, s.name) {
			k.Replace = append(k.Replace, Placeholder{placeholderMark + s.name, s.meaning})
		}
	}
	k.Files, err = split(text.String())
	return k, err
}

// stepMark begins the line of a template that begins a step: its file's name
// and its title.
const stepMark = "=== "

// split makes numbered files of a template's output.
func split(text string) ([]File, error) {
	var files []File
	steps := strings.Split("\n"+text, "\n"+stepMark)
	for i, step := range steps[1:] {
		head, body, _ := strings.Cut(step, "\n")
		name, title, ok := strings.Cut(head, ": ")
		if !ok || !strings.Contains(name, ".") {
			return nil, fmt.Errorf("template: step %q has no name or no title", head)
		}
		files = append(files, File{fmt.Sprintf("%02d_%s", i+1, name), title, strings.TrimSpace(squeeze(body)) + "\n"})
	}
	return files, nil
}

// squeeze leaves one empty line where a template's conditions leave several.
func squeeze(s string) string {
	for strings.Contains(s, "\n\n\n") {
		s = strings.ReplaceAll(s, "\n\n\n", "\n\n")
	}
	return s
}
