# `make demo` and `make test` are the two commands; each checks first for what it needs (scripts/need).

.DEFAULT_GOAL := help
.PHONY: help demo test faults bugs mutants coverage bench audit

help: ## Tells what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## A whole fleet on this machine: players, gateway, replicas, controller, page
	@scripts/need demo
	cargo build --release --locked --package evenkeel-cli
	target/release/evenkeel demo

test: ## Everything that CI judges
	@scripts/need test
	@scripts/check

faults: ## Every failpoint with every action, from the seed EVENKEEL_SEED (15 minutes)
	@scripts/need test
	EVENKEEL_ALL_ACTIONS=1 cargo test --locked --package evenkeel-cli --test processes cut::

bugs: ## Every planted bug of bugs/, and whether its test catches it (20 minutes)
	@scripts/need bugs
	@scripts/bugs

mutants: ## Every small change to core, and whether a test notices it (hours)
	@scripts/need mutants
	cargo mutants --package evenkeel-core

coverage: ## Lines that no test runs; core and controller have none (30 minutes)
	@scripts/need coverage
	@scripts/coverage

bench: ## A line per goal, and the same as JSON in target/bench.json
	@scripts/need bench
	@scripts/bench

audit: ## Known weaknesses of the libraries in use; needs a network
	@scripts/need audit
	cargo deny --locked check advisories
