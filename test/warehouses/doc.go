// Package warehouses loads real exports into real engines by the kits that
// gcexport prints, word for word, and compares what the views say with what the
// simulator knows.
package warehouses
