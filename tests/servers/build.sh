#!/usr/bin/env bash
# Builds the servers that the tests and the demo run, once, into a folder that git ignores.
#
#   tests/servers/build.sh [FOLDER] NAME...     prints the folder on standard output
#
# NAME is one of kube-apiserver kube-controller-manager kube-scheduler kubectl etcd helm.
# The default FOLDER is .servers in the project. A binary that is there for the pinned version is
# not built again. With KUBEBUILDER_ASSETS set, etcd and the Kubernetes binaries are expected in
# that folder and nothing but helm is built.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$here/../.." && pwd)/.servers
case "${1-}" in */* | .*) out=$1; shift ;; esac
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl)

say() { printf '%s\n' "$*" >&2; }

version_of() { # folder module
  awk -v module="$2" '{ sub(/^require /, ""); if ($1 == module && $2 ~ /^v/) { print $2; exit } }' "$here/$1/go.mod"
}

build() { # name module-folder package version ldflags
  local name=$1 folder=$2 package=$3 version=$4 ldflags=$5 started=$SECONDS ticker
  if [ "$(cat "$out/.$name.version" 2>/dev/null)" = "$version" ] && [ -x "$out/$name" ]; then return; fi
  command -v go >/dev/null || { say "missing: Go 1.26 or later (https://go.dev/dl), needed to build $name; or set KUBEBUILDER_ASSETS to a folder with ready binaries"; exit 1; }
  say "building $name $version (once; the first Kubernetes binary takes about seven minutes on two cores)"
  ( while sleep 20; do say "  ... still building $name, $((SECONDS - started)) s"; done ) &
  ticker=$!
  trap 'kill "$ticker" 2>/dev/null || true' EXIT
  mkdir -p "$out"
  (cd "$here/$folder" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w $ldflags" -o "$out/$name.new" "$package") >&2
  kill "$ticker" 2>/dev/null || true
  trap - EXIT
  mv "$out/$name.new" "$out/$name"
  echo "$version" >"$out/.$name.version"
  say "  built $name in $((SECONDS - started)) s"
}

kubernetes() {
  local version major minor flags
  version=$(version_of kubernetes k8s.io/kubernetes)
  IFS=. read -r major minor _ <<<"${version#v}"
  # Without these the API server announces v0.0.0 and its feature gates take odd defaults.
  flags="-X k8s.io/component-base/version.gitVersion=$version"
  flags+=" -X k8s.io/component-base/version.gitMajor=$major -X k8s.io/component-base/version.gitMinor=$minor"
  build "$1" kubernetes "k8s.io/kubernetes/cmd/$1" "$version" "$flags"
}

for name in "${names[@]}"; do
  if [ -n "${KUBEBUILDER_ASSETS-}" ] && [ "$name" != helm ]; then
    # The scheduler is not part of the ecosystem's archive; what needs it says so when it is missing.
    [ -x "$KUBEBUILDER_ASSETS/$name" ] || [ "$name" = kube-scheduler ] || [ "$name" = kube-controller-manager ] ||
      { say "missing: $name in KUBEBUILDER_ASSETS ($KUBEBUILDER_ASSETS)"; exit 1; }
    [ -x "$KUBEBUILDER_ASSETS/$name" ] && continue
  fi
  case $name in
    etcd) build etcd etcd go.etcd.io/etcd/server/v3 "$(version_of etcd go.etcd.io/etcd/server/v3)" "" ;;
    helm) build helm helm helm.sh/helm/v3/cmd/helm "$(version_of helm helm.sh/helm/v3)" "" ;;
    kube-apiserver | kube-controller-manager | kube-scheduler | kubectl) kubernetes "$name" ;;
    *) say "unknown server: $name"; exit 2 ;;
  esac
done
echo "$out"
