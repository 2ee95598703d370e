# `make` alone lists what there is. Needs GNU make, git and Go; `make deps` brings the rest.

.DEFAULT_GOAL := help
.PHONY: help run test check lint race audit sbom gen bench deps deps-run clean
.DELETE_ON_ERROR:

GO ?= $(shell command -v go || echo /usr/local/go/bin/go)
# Programs started from here find the same Go, also where it is not in the path yet.
export PATH := $(dir $(shell command -v $(GO))):$(PATH)

LINT_VERSION := 2.15.0
LINT := bin/golangci-lint-$(LINT_VERSION)
# Without cgo the tools need no C compiler, and every machine builds the same ones.
TOOL := CGO_ENABLED=0 $(GO) tool -modfile=internal/tools/go.mod
SQLC := $(TOOL) sqlc --file sql/sqlc.yaml

# The test cache does not see what archtest reads, so that one never answers from there.
GO_TEST_ALL := $(GO) test -count=1 ./internal/archtest; $(GO) test -timeout 20m ./...

help:
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST))

run: deps-run bin/gatehouse ## start Gatehouse with a database, a demo realm and a demo application of its own
	@exec bin/gatehouse dev

test: deps bin/gatehouse ## run every test against a throw-away PostgreSQL
	@bin/gatehouse devdb exec -- sh -ec '$(GO_TEST_ALL)'

check: lint race ## check style, formatting, generated code, modules, licences and data races: what CI asks beside the tests
	$(SQLC) diff
	cd internal/tools && $(GO) run ./eventschema -check ../..
	cd internal/tools && $(GO) test . ./bom && $(GO) run ./bom -check ../..
	$(GO) vet ./...
	$(GO) mod tidy -diff
	cd internal/tools && $(GO) mod tidy -diff
	cd internal/e2e/relyingparties/zitadel && $(GO) vet . && $(GO) mod tidy -diff

lint: $(LINT) ## run the linters alone
	$(LINT) run ./...

# Where goroutines meet, and of the whole program what happens at once. The race detector needs a C compiler.
RACE := client event grant keyset limit/... mail/... password password/policy postgres realm safehttp session telemetry web worker
RACE_TOGETHER := AtOnce|Against|JW05|Neighbour|ProgramsWhile

race: bin/gatehouse ## look for data races with the race detector
	@internal/tools/deps.sh postgresql redis compiler
	@bin/gatehouse devdb exec -- sh -ec 'export CGO_ENABLED=1; $(GO) test -race -timeout 5m $(RACE:%=./internal/%); \
		$(GO) test -race -timeout 5m -run "$(RACE_TOGETHER)" ./internal/e2e'

# Not part of `make check`: it asks vuln.go.dev, or a copy that GOVULNDB names, and its answer changes by itself.
audit: ## ask the Go vulnerability database about everything that is called
	@internal/tools/audit.sh

sbom: bin/gatehouse ## write bin/gatehouse.cdx.json: what the program is made of (CycloneDX)
	@cd internal/tools && $(GO) run ./bom -sbom ../../bin/gatehouse ../.. >../../bin/gatehouse.cdx.json

gen: ## generate again: code from sql/, schemas from the events, the licences of others
	$(SQLC) generate
	cd internal/tools && $(GO) run ./eventschema ../..
	cd internal/tools && $(GO) run ./bom ../..

# PROFILE=refresh profiles the server in one operation instead; BENCH passes flags on (BENCH=-h lists them).
bench: ## measure what each operation costs, beside the floor of this machine
	@internal/tools/deps.sh postgresql
	@$(GO) build -buildvcs=false -o bin/bench ./internal/bench
	@bin/bench $(if $(PROFILE),-profile $(PROFILE)) $(BENCH)

deps: ## install what is missing: PostgreSQL, and for the tests Redis, Chromium and Node.js
	@internal/tools/deps.sh postgresql redis chromium nodejs

deps-run:
	@[ -n "$$GATEHOUSE_DATABASE_URL$$GATEHOUSE_DATABASE_URL_FILE" ] || internal/tools/deps.sh postgresql

clean: ## remove what was built; the development database stays
	rm -rf bin .bench coverage.out

# Built, not `go run`: an interrupt then reaches the program itself, and its exit status comes back.
.PHONY: bin/gatehouse
bin/gatehouse:
	@$(GO) build -buildvcs=false -o $@ ./cmd/gatehouse

$(LINT):
	CGO_ENABLED=0 GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(LINT_VERSION)
	mv bin/golangci-lint $@
