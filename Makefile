# `make demo` and `make test` are the two commands; each checks first for what it needs (scripts/need).

.DEFAULT_GOAL := help
.PHONY: help demo test faults bench real-engine audit

help: ## Tells what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

bench: ## A line per goal, and the same as JSON in target/bench.json
	@scripts/need bench
	@scripts/bench

real-engine: ## A fleet of real vLLM replicas from 1 to 3 and back; EVENKEEL_VLLM says where vLLM is (15 minutes)
	@scripts/need bench
	@scripts/real-engine fleet

audit: ## Known weaknesses of the libraries in use; needs a network
	@scripts/need audit
	cargo deny --locked check advisories
