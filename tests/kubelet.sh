#!/usr/bin/env bash
# Shows what a real kubelet does with tokens: control plane, operator, kubelet, containerd, containers (tests/programs/kubelet).
#
#   tests/kubelet.sh [--or-skip] [--gentle] [CASE...]   the cases whose names contain one of these texts; all without
#
# Needs root and containerd. With --or-skip a machine that lacks something is told so in one line, and the exit code is 77. In CI
# only what cannot be installed is a reason to skip: root, and the right to make namespaces, mounts and cgroups.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
or_skip=
if [ "${1-}" = --or-skip ]; then
  or_skip=1
  shift
fi

may_make_a_machine() {
  local cgroups=/sys/fs/cgroup
  [ ! -d "$cgroups/memory" ] || cgroups=$cgroups/memory
  unshare --mount --propagation private --pid --fork --mount-proc mount -t tmpfs probe /var/log 2>/dev/null &&
    mkdir "$cgroups/tokenturn-probe-$$" 2>/dev/null && rmdir "$cgroups/tokenturn-probe-$$"
}

missing=() rights=()
for program in containerd ctr runc containerd-shim-runc-v2; do
  command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] || missing+=("$program (Debian: apt-get install containerd runc)")
done
for program in unshare nsenter setpriv; do
  command -v "$program" >/dev/null || missing+=("$program (Debian: apt-get install util-linux)")
done
if [ "$(id -u)" -ne 0 ]; then
  rights+=(root)
elif [ ${#missing[@]} -eq 0 ] && ! may_make_a_machine; then
  rights+=("the right to make namespaces, mounts and cgroups")
fi
if [ ${#missing[@]} -gt 0 ] || [ ${#rights[@]} -gt 0 ]; then
  list=$(printf '%s; ' "${missing[@]}" "${rights[@]}" | sed 's/^\(; \)*//')
  if [ -n "$or_skip" ] && { [ "${CI-}" != true ] || [ ${#missing[@]} -eq 0 ]; }; then
    echo "skipped the tests with a real kubelet, which need ${list%; }"
    exit 77
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
