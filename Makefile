# What the project can do, each as one command. `make` alone lists it.

SHELL := bash
CARGO := cargo
SERVERS := etcd kube-apiserver kube-controller-manager kube-scheduler helm
# The end-to-end tests wait more than they compute.
export RUST_TEST_THREADS ?= 6
.DEFAULT_GOAL := help
.PHONY: help demo test attack faults faults-short faults-pairs lint crds servers bench build clean tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: servers ## two rotations on a real control plane, told in the terminal (two minutes after the first build)
	@$(CARGO) build --locked --features testkit --bin tokenturn --example demo
	@$(CARGO) run --locked --quiet --features testkit --example demo

test: lint servers ## everything that CI runs; the last line counts the tests
	@tests/summary.sh $(CARGO) test --locked --features testkit --no-fail-fast

attack: servers ## kills, freezes and damage by hand on a real control plane (five minutes)
	@tests/summary.sh $(CARGO) test --locked --features testkit --test attack

# All programs that need more than the test kit are built with the same features, so that the library is compiled once.
CHECKED := --locked --profile checked --features testkit,faults,model

faults: servers ## every effect of the operator with every fault, one run each; ARGS="--help" tells more (12 minutes)
	@$(CARGO) build $(CHECKED) --bin tokenturn --example faults
	@$(CARGO) run --quiet $(CHECKED) --example faults -- $(ARGS)

faults-short: ## every third of these runs (6 minutes)
	@$(MAKE) --no-print-directory faults ARGS="--every 3 $(ARGS)"

faults-pairs: ## two faults in one run, sampled; ARGS="--seed N" repeats a sample
	@$(MAKE) --no-print-directory faults ARGS="--pairs 300 $(ARGS)"

lint: tools ## formatting and clippy, warnings are errors
	@$(CARGO) fmt --check
	@$(CARGO) clippy --locked --all-targets --test attack --all-features -- --deny warnings

crds: tools ## write crds/*.yaml anew from the Rust types
	@UPDATE=1 $(CARGO) test --locked --quiet --test docs -- --exact the_committed_crds_are_the_generated_ones

servers: tools ## build etcd, the Kubernetes servers and helm into .servers, once
	@tests/servers/build.sh $(SERVERS) >/dev/null

bench: servers ## measure writes, memory and time of a rotation; the last line is JSON
	@$(CARGO) build --locked --release --features testkit --bin tokenturn --example bench
	@$(CARGO) run --locked --release --quiet --features testkit --example bench

build: tools ## the operator's binary, optimized
	@$(CARGO) build --locked --release --bin tokenturn

clean: ## remove what was built, also the servers
	@rm -rf target .servers

tools:
	@tests/tools.sh $(SERVERS)
