//go:build race

package export_test

// raceDetector says that the tests run ten times slower.
const raceDetector = true
