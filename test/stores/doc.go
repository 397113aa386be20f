// Package conformance holds the tests that write to real stores. The stores
// themselves are started by package stores; this file is here so that the
// module has a package besides its tests.
package conformance
