#!/usr/bin/env bash
# Shows what a real kubelet does with tokens: control plane, operator, kubelet, containerd, containers (tests/programs/kubelet).
#
#   tests/kubelet.sh [--or-skip] [CASE...]      the cases whose names contain one of these texts; all without
#
# Needs root and containerd. With --or-skip a machine that lacks something is told so in one line and passes, but not in CI.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
or_skip=
if [ "${1-}" = --or-skip ]; then
  or_skip=1
  shift
fi

missing=()
[ "$(id -u)" -eq 0 ] || missing+=("root (namespaces and mounts)")
for program in containerd ctr runc containerd-shim-runc-v2; do
  command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] || missing+=("$program (Debian: apt-get install containerd runc)")
done
for program in unshare nsenter setpriv; do
  command -v "$program" >/dev/null || missing+=("$program (Debian: apt-get install util-linux)")
done
if [ ${#missing[@]} -gt 0 ]; then
  list=$(printf '%s; ' "${missing[@]}")
  if [ -n "$or_skip" ] && [ "${CI-}" != true ]; then
    echo "skipped the tests with a real kubelet, which need ${list%; }"
    exit 0
  fi
  echo "missing for the tests with a real kubelet: ${list%; }" >&2
  exit 1
fi

tests/servers/build.sh etcd kube-apiserver kube-controller-manager kube-scheduler helm kubelet >/dev/null
# Static, because there is nothing else in its image.
(cd tests/programs/kubelet/consumer && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o ../../../../target/consumer .)
profile=(--locked --profile checked --features "testkit,faults,model")
cargo build "${profile[@]}" --bin tokenturn --example kubelet
exec target/checked/examples/kubelet --consumer target/consumer "$@"
