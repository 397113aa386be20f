// Package warehouse writes loader kits: all that a warehouse needs to load an
// export by itself, filled in for one bucket.
//
// [Make] turns [Params] into a [Kit]: numbered files of SQL and shell commands
// for permissions, tables, the pipe or job that loads each new object, events,
// flattened views and a reconciliation with the manifests. It is a pure function: it opens nothing and
// asks nobody. What it cannot know stands in the kit as a word that begins with
// REPLACE_, unless [Params].Set holds its value.
//
// Everything that comes from outside is checked against a pattern, or quoted in
// the language that it goes into, so that no name can break out of a literal.
package warehouse
