# make and Go are all that build, demo and test need. `make` alone lists the targets.

GO       ?= go
FUZZTIME ?= 30s
BENCH    ?= .
COUNT    ?= 6
VULNDB   ?= https://vuln.go.dev

# The tags leave out what the Google SDK links and a file store never calls.
TAGS := grpcnotrace,disable_grpc_modules

# One set of flags for the program and for its checks, so that they share a
# build cache. GOFLAGS of the environment stays in force.
STATIC := CGO_ENABLED=0 GOFLAGS="$(GOFLAGS) -trimpath -tags=$(TAGS)"

# The version comes from git through the build info, where there is a git.
VCS := $(shell git rev-parse -q --verify HEAD >/dev/null 2>&1 && echo true || echo false)

# The race detector needs a C compiler. Where REQUIRE_STORES is set, as in CI,
# it is on in any case, and so a missing compiler fails.
RACE := $(if $(REQUIRE_STORES),-race,$(shell test "`$(GO) env CGO_ENABLED`" = 1 && echo -race))

# Modules below the root, each with dependencies that the program does not have.
NESTED := $(patsubst %/go.mod,%,$(wildcard tools/go.mod test/*/go.mod))

# staticcheck, govulncheck and benchstat, at the versions that tools/go.mod pins.
TOOL := $(GO) tool -modfile=tools/go.mod

.DEFAULT_GOAL := help
.PHONY: help build extras test test-root test-stores test-sdk test-warehouses test-deploy test-clickhouse deploy check fmt-check vet lint tidy-check arch vuln demo bench bench-process bench-rate benchstat fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-16s %s\n", $$1, $$2 }'

build: ## build ./bin/gcexport
	$(STATIC) $(GO) build -buildvcs=$(VCS) -o bin/gcexport ./cmd/gcexport

# For releases; dated by the commit, so that they come out the same again.
extras: build ## write man pages and completions into ./bin
	SOURCE_DATE_EPOCH=`git log -1 --format=%ct` ./bin/gcexport man bin/man
	mkdir -p bin/completions
	@for shell in bash zsh fish powershell; do ./bin/gcexport completion $$shell >bin/completions/gcexport.$$shell || exit 1; done

test: test-root test-stores test-sdk test-warehouses test-deploy ## run all tests, those of the root module with the race detector

# The rate scenarios and those of the remaining time are hours of virtual time, what
# plan promises is held against a hundred thousand records: ten times slower under the
# race detector, and nothing that the tests of the packages do not run under it.
test-root:
	$(if $(RACE),,@echo "SKIP race detector: no C compiler")
	$(GO) test $(RACE) -tags=$(TAGS) $$($(GO) list -tags=$(TAGS) ./... | grep -v /test/rate)
	CGO_ENABLED=0 $(GO) test -tags=$(TAGS) ./test/rate ./internal/cli

# Not trimmed: the tests find Azurite by the path of their source. Without the
# race detector: it would double the time of building and running the
# stores themselves, and what of ours runs here runs under it in test-root.
test-stores: ## run the tests against S3, GCS and Azure stores on this machine
	@test -d test/stores/azurite/node_modules || test -n "$(REQUIRE_STORES)" || \
		echo "SKIP Azure store: Azurite is not installed: run 'npm ci' in test/stores/azurite"
	cd test/stores && CGO_ENABLED=0 $(GO) test -tags=$(TAGS) ./...

test-sdk: ## run the official Go SDK against the simulator
	cd test/sdk && $(STATIC) $(GO) test ./...

# DuckDB comes as a C library. Its module leaves what others test to them.
test-warehouses: ## load exports into warehouses on this machine
	@if test "`$(GO) env CGO_ENABLED`" = 1 && command -v "`$(GO) env CC`" >/dev/null; then \
		cd test/warehouses && $(GO) test -tags=$(TAGS) ./...; \
	elif test -n "$(REQUIRE_STORES)"; then echo "warehouses need a C compiler"; exit 1; \
	else echo "SKIP warehouses: no C compiler"; fi

test-deploy: ## hold the manifests and the chart against Kubernetes, and run the job's pods as processes
	cd test/deploy && CGO_ENABLED=0 $(GO) test ./...

deploy: ## write the plain manifests anew from the chart
	cd test/deploy && CGO_ENABLED=0 $(GO) test -count=1 -run TestPlainManifests . -update

# Half a gigabyte of ClickHouse, and a Java for its keeper: not for every run.
test-clickhouse: ## load exports into ClickHouse too (npm, java, Debian's zookeeper)
	npm install --no-save --prefix test/warehouses/clickhouse --ignore-scripts --no-audit --no-fund
	cd test/warehouses && $(GO) test -count=1 -v -tags=$(TAGS) -run ClickHouse ./...

check: fmt-check tidy-check vet lint arch vuln ## run all checks that are no tests

fmt-check:
	@unformatted=`find . -name node_modules -prune -o -name '*.go' -print | xargs gofmt -s -l`; \
	test -z "$$unformatted" || { echo "not as gofmt -s writes it:"; echo "$$unformatted"; exit 1; }

tidy-check:
	$(GO) mod tidy -diff
	@for dir in $(NESTED); do echo "$$dir: $(GO) mod tidy -diff"; (cd $$dir && $(GO) mod tidy -diff) || exit 1; done

vet:
	$(STATIC) $(GO) vet ./...

lint:
	$(STATIC) $(TOOL) staticcheck ./...

arch:
	$(GO) test -count=1 ./internal/arch

# The vulnerability database is the one thing here that is neither in the
# repository nor behind the module proxy: where it cannot be reached, say so.
vuln:
	@echo $(TOOL) govulncheck -db $(VULNDB) ./...
	@if out=`$(STATIC) $(TOOL) govulncheck -db $(VULNDB) ./... 2>&1`; then echo "$$out"; \
	else case "$$out" in \
		*"fetching vulnerabilities: Get "*) echo "SKIP govulncheck: $(VULNDB) cannot be reached" ;; \
		*) echo "$$out"; exit 1 ;; \
	esac; fi

demo: build ## export a month from the simulator into ./out
	@sh test/demo.sh

bench: ## run all benchmarks (BENCH=regexp COUNT=6), to keep for benchstat
	@$(GO) test -tags=$(TAGS) -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./...
	@cd test/bench && $(GO) test -run '^$$' -bench '$(BENCH)' -skip 'Process|Memory' -benchmem -count $(COUNT) ./...

bench-process: ## measure the whole program over HTTP: CPU against the floor, memory
	@cd test/bench && $(GO) test -run '^$$' -bench 'Process|Memory' -benchtime 3x -timeout 60m ./...

# In virtual time: what it prints does not depend on the machine.
bench-rate: ## show how requests are spent, scenario by scenario
	@out=`$(GO) test -tags=$(TAGS) -count=1 -v ./test/rate 2>&1`; status=$$?; \
	echo "| scenario                             | took    | requests | of 300  |    429s | share    | most in 60s | per job  | others |"; \
	echo "|--------------------------------------|---------|----------|---------|---------|----------|-------------|----------|--------|"; \
	echo "$$out" | sed -n 's/^.*_test.go:[0-9]*: |/|/p'; \
	echo "of 300: of the allowance, in steady state; per job: requests besides its pages; others: requests a minute of the neighbour"; \
	test $$status = 0 || { echo "$$out" | grep -v "RUN\|PASS\|: |"; exit $$status; }

benchstat: ## compare two outputs of bench (OLD=file NEW=file)
	@$(TOOL) benchstat $(OLD) $(NEW)

fuzz: ## run each fuzz target for FUZZTIME=30s
	@GO='$(GO)' TAGS='$(TAGS)' FUZZTIME='$(FUZZTIME)' sh test/fuzz.sh

clean: ## remove what build and demo have written
	rm -rf bin
	@sh test/demo.sh clean
