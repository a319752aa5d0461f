# The commands of this house. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
BIN      := bin/weelo
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
# Two packages at a time: the tests start real servers and browsers, and a small machine must not starve them.
P        ?= 2
FUZZTIME ?= 10s
# Coverage is asked of the domain; what only drives a running server is left out.
COVER_MIN  ?= 85
COVER_OUT  := bin/cover.out
COVER_SKIP := weelo/internal/(simulate|bench|client|servertest|arch)|/[a-z]*test/
# Packages whose tests start many processes or are timed by them; the race detector runs everywhere else.
NO_RACE    := weelo/test/

.PHONY: help
help: ## List the commands
	@awk -F':.*## ' '/^[a-z][a-z0-9_-]*:.*## /{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the one binary into bin/weelo (static, no cgo)
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN) ./cmd/weelo

.PHONY: run
run: build ## Build and start weelo dev (SQLite, demo world, live map) thirty times as fast; ARGS="--speed 1" for real time
	exec $(BIN) dev $(or $(ARGS),--speed 30)

.PHONY: deps
deps: ## Install what the tests need and this machine lacks (Postgres, Redis, Chromium, Node)
	@tools/install-deps

.PHONY: vet
vet: ## go vet
	$(GO) vet ./...

.PHONY: test
test: deps vet test-bench test-all ## Everything: vet, benchmarks once, all tests (fuzz seeds too), coverage of internal/

# Coverage is counted in a run of its own: with -race its counters are atomic, each count an event for the race
# detector, whose own runtime then gives up now and then in the longest packages (tsan_rtl.cpp, kEpochLast).
.PHONY: test-all
test-all: ## All tests: many-process ones, the others with -race, and again without for the coverage floor
	@mkdir -p bin
	@rest=$$($(GO) list ./... | grep -vE '$(NO_RACE)' | tr '\n' ' '); \
	processes=$$($(GO) list ./... | grep -E '$(NO_RACE)' | tr '\n' ' ' || true); \
	if [ -n "$$processes" ]; then $(GO) test -p 1 -count=1 -timeout 15m $$processes; fi; \
	GO="$(GO)" P="$(P)" tools/race-test $$rest; \
	rm -f bin/cover.all.out; \
	$(GO) test -p $(P) -count=1 -timeout 20m -covermode=set -coverpkg=./internal/... -coverprofile=bin/cover.all.out $$rest
	@$(MAKE) --no-print-directory cover-check

.PHONY: cover-check
cover-check: ## Fail when statement coverage of internal/ is below the floor (needs a test run)
	@grep -hvE '$(COVER_SKIP)' bin/cover.all.out > $(COVER_OUT)
	@COVER_PROFILE=$(CURDIR)/$(COVER_OUT) COVER_MIN=$(COVER_MIN) $(GO) test -count=1 -run '^TestCoverageFloor$$' -v ./internal/arch

.PHONY: cover
cover: ## Where the tests do not go, as a page (bin/cover.html)
	@test -f $(COVER_OUT) || $(MAKE) test-all
	$(GO) tool cover -html=$(COVER_OUT) -o bin/cover.html

.PHONY: test-fast
test-fast: ## Unit tests without the race detector and without many-process tests (< 3 min)
	$(GO) test -p $(P) -short -timeout 3m $$($(GO) list ./... | grep -vE '$(NO_RACE)')

.PHONY: test-fuzz-seeds
test-fuzz-seeds: ## Run the seed corpus of every fuzz target
	$(GO) test -p $(P) -run '^Fuzz' -timeout 5m $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u)

.PHONY: test-bench
test-bench: ## Run every benchmark once, so that it keeps working
	$(GO) test -p 1 -run '^$$' -bench . -benchtime 1x -timeout 10m $$(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -n1 dirname | sort -u)

.PHONY: bench
bench: build ## Compare with a bare WebSocket forwarder: CPU, memory, fan-out, commits
	$(BIN) bench $(ARGS)

# The seed of a soak is printed; SOAK_SEED=N plays the same day again.
SOAK_SEED     := $(or $(SOAK_SEED),$(shell date +%s))
SOAK_ORDERS   ?= 1000
SOAK_ATTEMPTS ?= 1000000
SOAK_CHECKS   ?= 5000
SOAK_KILLS    ?= 5
SOAK_REGISTER ?= 120
# Every random machine and model there is, not only those whose name says so.
SOAK_MACHINES := Life|Chance|AgainstAModel|NoAcknowledgedLoss|PairsAreWhole|AnyTraffic|QueueProperties|SimulatedWritePath|GridAnswers|OneTransporterIsFound|ARankingDepends|ChallengeInvariants|LiveNeverGoesBack|DependOnBatching|MemoryNeverCosts
.PHONY: soak
soak: deps build ## The long forms of the proofs (about an hour): a market of 1000 orders, 10^6 contested accepts, random lives, kills
	@echo "soak with seed $(SOAK_SEED)"
	SIMULATE_ORDERS=$(SOAK_ORDERS) SIMULATE_FLEET=400 SIMULATE_CUSTOMERS=100 SIMULATE_TRANSPORTERS=40 SIMULATE_SEED=$(SOAK_SEED) \
	  $(GO) test -count=1 -timeout 30m -v -run '^TestSimulateOrders$$/^serve$$' ./test/acceptance
	$(BIN) bench accept --attempts $(SOAK_ATTEMPTS) --taps 100 --seed $(SOAK_SEED)
	SOAK_SEED=$(SOAK_SEED) $(GO) test -count=1 -p 1 -timeout 60m -run '$(SOAK_MACHINES)' \
	  ./internal/order ./internal/trip ./internal/fleet ./internal/ledger ./internal/session ./internal/otp ./internal/track ./internal/history ./actors ./transport/hub \
	  -rapid.checks=$(SOAK_CHECKS) -rapid.seed=$(SOAK_SEED)
	$(GO) test -count=$(SOAK_KILLS) -p 1 -timeout 60m -v -run 'Kill|OneLiveTripEach|Register' ./store/postgres ./store/sqlite
	REGISTER_SECONDS=$(SOAK_REGISTER) SOAK_SEED=$(SOAK_SEED) $(GO) test -count=1 -timeout 30m -v -run 'Register|Checker' ./test/dispatch

.PHONY: fuzz
fuzz: ## Fuzz every decoder for FUZZTIME (10s) each
	@for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg; done; done

.PHONY: lint
lint: ## golangci-lint with the import directions (.golangci.yml); the tool is pinned in tools/go.mod
	@mkdir -p bin
	$(GO) -C tools build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	bin/golangci-lint run --timeout 15m ./...

.PHONY: fmt
fmt: ## gofmt
	gofmt -l -w $$(git ls-files '*.go')

.PHONY: generate
generate: ## Regenerate docs and diagrams from the code
	$(GO) generate ./...

.PHONY: verify
verify: generate ## Fail when a generated file is not up to date
	@git diff --exit-code -- docs .env.example

.PHONY: migrate
migrate: build ## Migrate DATABASE_URL (ARGS="status", "down" …)
	$(BIN) migrate $(or $(ARGS),up)

.PHONY: tidy
tidy: ## go mod tidy, and fail when that changed something
	$(GO) mod tidy
	@git diff --exit-code -- go.mod go.sum

.PHONY: docker
docker: ## Build the production image for linux/amd64 (IMAGE=name:tag)
	docker buildx build --platform linux/amd64 --target production --build-arg VERSION=$(VERSION) -t $(or $(IMAGE),weelo:$(VERSION)) .

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
