# Troth. make run · make test · make bench. Everything else is `go`.
SHELL := /bin/bash
.PHONY: build run test quick bench clean

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unversioned)
BUILD   := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X troth/internal/app.version=$(VERSION)"

build:
	@command -v go >/dev/null || { echo "Go 1.26 or newer is missing: install it from your distribution or from go.dev, then try again." >&2; exit 1; }
	@mkdir -p bin
	$(BUILD) -o bin/troth ./cmd/troth
	$(BUILD) -o bin/notes ./examples/notes

# Builds, makes ./data if there is none, and serves the notes application on https://localhost:8443.
run: build
	@test/run-example

# Installs what the tests need, then runs all of them; the summary of `go test` comes last.
test:
	@test/all

# The tests that need neither a browser nor Postgres.
quick:
	go vet ./... && go test ./internal/... ./verify/...

# Prints the table of docs/benchmarks.md.
bench:
	@test/bench

clean:
	rm -rf bin
