module github.com/gcexport/gcexport/test/bench

go 1.26.0

replace github.com/gcexport/gcexport => ../..

require (
	github.com/gcexport/gcexport v0.0.0
	github.com/go-json-experiment/json v1.27.2
	github.com/goccy/go-json v0.11.2
	github.com/klauspost/compress v1.20.3
)
