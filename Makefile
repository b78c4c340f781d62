# What the project can do, each as one command. `make` alone lists it.

SHELL := bash
CARGO := cargo
SERVERS := etcd kube-apiserver kube-controller-manager kube-scheduler helm
# For programs that run the operator for long. Always the same features, so that the library is built once for all of them.
CHECKED := --profile checked --features testkit,faults,model
# The end-to-end tests wait more than they compute.
export RUST_TEST_THREADS ?= 6
.DEFAULT_GOAL := help
.PHONY: help demo test test-kubelet model model-short faults faults-short faults-pairs soak hostile disasters attack lint crds servers \
	bench build clean tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: servers ## two rotations on a real control plane, shown in the terminal (90 seconds after the first build)
	@$(CARGO) build --locked --features testkit --bin tokenturn --example demo
	@$(CARGO) run --locked --quiet --features testkit --example demo

test: lint servers ## everything that CI runs; the last line counts the tests
	@tests/tools.sh oidc keycloak kstatus
	@tests/servers/build.sh oidc keycloak kstatus >/dev/null
	@tests/summary.sh tests/all.sh

test-kubelet: tools ## a real kubelet with real containers (root and containerd; five minutes)
	@tests/kubelet.sh

attack: servers ## kills, freezes and damage by hand on a real control plane (five minutes)
	@tests/summary.sh $(CARGO) test --locked --features testkit --test attack

disasters: servers ## restored backups, wrong clocks, an API server that is away, hundreds of deletions (half an hour)
	@tests/servers/build.sh etcdutl >/dev/null
	@tests/summary.sh $(CARGO) test --locked --features testkit --test disasters

model: tools ## search the protocol for broken promises, with the operator's own decisions (40 minutes; the last line is JSON)
	@$(CARGO) build --locked $(CHECKED) --example model
	@$(CARGO) run --locked --quiet $(CHECKED) --example model -- --limit 60 --large 600 $(ARGS)

model-short: tools ## the same, as far as CI looks (six minutes)
	@$(CARGO) build --locked $(CHECKED) --example model
	@$(CARGO) run --locked --quiet $(CHECKED) --example model -- --limit 5 --large 40 $(ARGS)

faults: servers ## every effect of the operator with every fault, one run each; ARGS="--help" shows more
	@$(CARGO) build --locked $(CHECKED) --bin tokenturn --example faults
	@$(CARGO) run --locked --quiet $(CHECKED) --example faults -- $(ARGS)

faults-short: ## every sixteenth of these runs, as CI does
	@$(MAKE) --no-print-directory faults ARGS="--every 16 $(ARGS)"

faults-pairs: ## two faults in one run, sampled; ARGS="--seed N" repeats a sample
	@$(MAKE) --no-print-directory faults ARGS="--pairs 300 $(ARGS)"

lint: tools ## formatting and clippy, warnings are errors
	@$(CARGO) fmt --check
	@$(CARGO) clippy --locked --all-targets --test attack --test disasters --all-features -- --deny warnings

crds: tools ## write crds/*.yaml anew from the Rust types
	@UPDATE=1 $(CARGO) test --locked --quiet --test docs -- --exact the_committed_crds_are_the_generated_ones

servers: tools ## build etcd, the Kubernetes servers and helm into .servers, once
	@tests/servers/build.sh $(SERVERS) >/dev/null

bench: servers ## measure calls, rates, CPU, memory and times (20 to 30 minutes; the last line is JSON). BENCH=--quick for eight
	@$(CARGO) build --locked --release --features testkit --bin tokenturn --example bench
	@$(CARGO) run --locked --release --quiet --features testkit --example bench -- $(BENCH)

soak: servers ## 1,000 rotations under traffic while leaders are killed; the last line is JSON. SOAK=--short for a minute and a half
	@$(CARGO) build --locked $(CHECKED) --bin tokenturn --example soak
	@$(CARGO) run --locked --quiet $(CHECKED) --example soak -- $(SOAK)

hostile: servers ## what one tenant can do to the others (half an hour; the last line is JSON). HOSTILE=--short for four minutes
	@$(CARGO) build --locked $(CHECKED) --bin tokenturn --example hostile
	@$(CARGO) run --locked --quiet $(CHECKED) --example hostile -- $(HOSTILE)

build: tools ## the operator's binary, optimized
	@$(CARGO) build --locked --release --bin tokenturn

clean: ## remove what was built, also the servers
	@rm -rf target .servers

tools:
	@tests/tools.sh $(SERVERS)
