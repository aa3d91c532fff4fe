# `make demo` and `make test` are the two commands; each checks first for what it needs (scripts/need).

.DEFAULT_GOAL := help
.PHONY: help demo test faults failpoints drill long-run bugs mutants coverage fuzz bench real-engine audit

help: ## Tells what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## A whole fleet on this machine: players, gateway, replicas, controller, page
	@scripts/need demo
	cargo build --release --locked --package evenkeel-cli
	target/release/evenkeel demo

test: ## Everything that CI judges
	@scripts/need test
	@scripts/check

failpoints: ## Every failpoint with every action, from the seed EVENKEEL_SEED (15 minutes)
	@scripts/need test
	EVENKEEL_ALL_ACTIONS=1 cargo test --locked --package evenkeel-cli --test processes cut::

faults: ## 2,000 days and 100,000 times two hours of made-up faults in virtual time (10 minutes)
	@scripts/need bugs
	cargo build --release --locked --package evenkeel-sim --example faults
	target/release/examples/faults 2000 24
	target/release/examples/faults 100000 2

drill: ## Half of gold killed, the controller dead for 5 minutes, signal to spawn, 10,000 players, a silent replica (25 minutes)
	@scripts/need demo
	@scripts/drill drill::

long-run: MINUTES = 60
long-run: ## The demo's fleet for MINUTES=60 at compressed days: memory, files, threads, journal
	@scripts/need demo
	@EVENKEEL_LONG_RUN_MINUTES=$(MINUTES) scripts/drill long_run::

bugs: ## Every planted bug of bugs/, and whether its test catches it (20 minutes)
	@scripts/need bugs
	@scripts/bugs

mutants: ## Every small change to core, and whether a test notices it (hours)
	@scripts/need mutants
	cargo mutants --package evenkeel-core

coverage: ## Lines that no test runs; core and controller have none (30 minutes)
	@scripts/need coverage
	@scripts/coverage

bench: ## A line per goal, the drills' among them, and the same as JSON in target/bench.json (40 minutes)
	@scripts/need bench
	@scripts/bench

fuzz: ## Ten minutes of mutated input for every reader of something from outside
	@scripts/need fuzz
	@scripts/fuzz

real-engine: ## A fleet of real vLLM replicas from 1 to 3 and back; EVENKEEL_VLLM says where vLLM is (15 minutes)
	@scripts/need demo
	@scripts/real-engine fleet

audit: ## Known weaknesses of the libraries in use; needs a network
	@scripts/need audit
	cargo deny --locked check advisories
