// Package bench measures the exporter against what it is judged by: the floor
// below which no exporter can come, other ways of doing the same work, and the
// memory it may take. Its benchmarks run the sides of a comparison in turn and
// report ratios of CPU time, so that a busy machine spoils little.
//
// docs/performance.md says how to run them and what came out.
package bench
