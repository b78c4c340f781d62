#!/usr/bin/env bash
# Builds the servers that the tests and the demo run, once, into a folder that git ignores.
#
#   tests/servers/build.sh [FOLDER] NAME...      prints the folder on standard output
#   tests/servers/build.sh --missing NAME...     builds nothing; prints which tool is missing for that, if one is
#
# NAME is one of kube-apiserver kube-controller-manager kube-scheduler kubectl kubelet etcd etcdutl helm, and oidc: an authorization
# server for Node.js 20 or later, with its packages in a folder of its own, or keycloak: an identity server for Java 17 or later. That comes
# from Maven Central, by mvn, which knows the mirrors of the machine, or where that is missing by curl. Or kstatus: the library by which Flux
# and Helm wait for objects, as a program.
# The default FOLDER is .servers in the project. A binary that is there for the pinned version is
# not built again. What is in KUBEBUILDER_ASSETS, if that is set, is taken from there. helm is
# taken from HELM, if that is set, and from PATH where KUBEBUILDER_ASSETS is set or Go is missing.
# src/testkit/servers.rs looks in the same places.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$here/../.." && pwd)/.servers
only_ask=
case "${1-}" in
  --missing) only_ask=1; shift ;;
  */* | .*) out=$1; shift ;;
esac
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl)

say() { printf '%s\n' "$*" >&2; }

version_of() { # name
  local module
  case $1 in
    oidc)
      cat "$here/oidc/"* | sha256sum
      return
      ;;
    keycloak)
      cat "$here/keycloak/"* | sha256sum
      return
      ;;
    kstatus)
      cat "$here/kstatus/"* | sha256sum | cut -c 1-12
      return
      ;;
    etcd) module=go.etcd.io/etcd/server/v3 ;;
    etcdutl) module=go.etcd.io/etcd/etcdutl/v3 ;;
    helm) module=helm.sh/helm/v3 ;;
    *) module=k8s.io/kubernetes ;;
  esac
  awk -v module="$module" '{ sub(/^require /, ""); if ($1 == module && $2 ~ /^v/) { print $2; exit } }' "$(folder_of "$1")/go.mod"
}

folder_of() { # name
  case $1 in
    etcd | etcdutl) echo "$here/etcd" ;;
    helm) echo "$here/helm" ;;
    kstatus) echo "$here/kstatus" ;;
    *) echo "$here/kubernetes" ;;
  esac
}

is_ready() { # name: built for the pinned version, or provided
  [ "$1" != oidc ] || node_works || return 1
  [ "$1" != keycloak ] || java_works || return 1
  if [ "$1" = helm ]; then
    [ -z "${HELM-}" ] || { command -v "$HELM" >/dev/null && return; }
    if [ -n "${KUBEBUILDER_ASSETS-}" ] || ! go_works; then command -v helm >/dev/null && return; fi
  fi
  [ -z "${KUBEBUILDER_ASSETS-}" ] || [ ! -x "$KUBEBUILDER_ASSETS/$1" ] || return 0
  [ "$(cat "$out/.$1.version" 2>/dev/null)" = "$(version_of "$1")" ] && [ -x "$out/$1" ]
}

node_works() {
  local version
  command -v npm >/dev/null && version=$(node --version 2>/dev/null) || return 1
  version=${version#v}
  [ "${version%%.*}" -ge 20 ]
}

java_works() {
  local version
  command -v unzip >/dev/null && version=$(java -version 2>&1) || return 1
  version=${version#*\"}
  version=${version%%[!0-9]*}
  [ "${version:-0}" -ge 17 ]
}

# Go 1.21 and later fetch the version that go.mod asks for, unless GOTOOLCHAIN says local.
go_works() {
  local found minor
  command -v go >/dev/null || return 1
  found=$(cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
  minor=${found#go1.}
  minor=${minor%%[!0-9]*}
  [ "${minor:-0}" -ge "$(wanted_minor)" ] || { [ "${minor:-0}" -ge 21 ] && [ "$(cd / && go env GOTOOLCHAIN)" != local ]; }
}

wanted_minor() { # the newest minor version of Go in the go.mod files
  awk '$1 == "go" { split($2, part, "."); if (part[2] > newest) newest = part[2] } END { print newest }' "$here"/*/go.mod
}

missing() { # name...: a phrase that says what is missing to build these, if something is
  local found="" list provide="set KUBEBUILDER_ASSETS to a folder with ready binaries" name wanted=() node=""
  for name in "$@"; do
    case $name in
      oidc) node_works || node="${node:+$node; }Node.js 20 or later with npm (https://nodejs.org)" ;;
      keycloak) java_works || node="${node:+$node; }Java 17 or later (https://adoptium.net) and unzip" ;;
      *) wanted+=("$name") ;;
    esac
  done
  set -- "${wanted[@]}"
  if [ $# -eq 0 ] || go_works; then
    echo "$node"
    return
  fi
  command -v go >/dev/null && found=", found $(cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null)"
  [ -z "${KUBEBUILDER_ASSETS-}" ] || provide="put that into $KUBEBUILDER_ASSETS, where KUBEBUILDER_ASSETS points"
  [ "$*" != helm ] || provide="put helm on PATH"
  list=$(printf '%s, ' "$@")
  echo "${node:+$node; }Go 1.$(wanted_minor) or later (https://go.dev/dl$found), needed to build ${list%, } (or $provide)"
}

build() { # name package ldflags
  local name=$1 package=$2 ldflags=$3 started=$SECONDS ticker
  say "building $name $(version_of "$name") (once; the first Kubernetes binary takes about seven minutes on two cores)"
  tick "$name" &
  ticker=$!
  trap 'kill "$ticker" 2>/dev/null || true' EXIT
  mkdir -p "$out"
  (cd "$(folder_of "$name")" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w $ldflags" -o "$out/$name.new" "$package") >&2
  kill "$ticker" 2>/dev/null || true
  trap - EXIT
  mv "$out/$name.new" "$out/$name"
  version_of "$name" >"$out/.$name.version"
  say "  built $name in $((SECONDS - started)) s"
}

tick() { # name: says every 20 s that it goes on; short sleeps, so that none outlives it by much
  local next=20
  while sleep 1; do
    [ $((SECONDS - started)) -ge "$next" ] || continue
    say "  ... still building $1, $next s"
    next=$((next + 20))
  done
}

kubernetes() {
  local version major minor flags
  version=$(version_of "$1")
  IFS=. read -r major minor _ <<<"${version#v}"
  # Without these the API server announces v0.0.0 and its feature gates take odd defaults.
  flags="-X k8s.io/component-base/version.gitVersion=$version"
  flags+=" -X k8s.io/component-base/version.gitMajor=$major -X k8s.io/component-base/version.gitMinor=$minor"
  build "$1" "k8s.io/kubernetes/cmd/$1" "$flags"
}

# The packages of a server that is written here, as its lock file pins them.
packages() { # name
  say "fetching the packages of $1 (once)"
  rm -rf "${out:?}/$1"
  mkdir -p "$out/$1"
  cp "$here/$1/"* "$out/$1/"
  (cd "$out/$1" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) >&2
  version_of "$1" >"$out/.$1.version"
}

# An identity server as it is released, made ready to start fast.
keycloak() {
  local artifact sum group name version zip part=$out/.keycloak.new
  { read -r artifact; read -r sum; } <"$here/keycloak/distribution"
  say "fetching $artifact, 160 MB (once)"
  rm -rf "$part"
  mkdir -p "$part"
  IFS=: read -r group name version _ <<<"$artifact"
  zip=$part/$name-$version.zip
  if command -v mvn >/dev/null; then
    mvn --batch-mode --quiet org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy "-Dartifact=$artifact" \
      "-DoutputDirectory=$part" >&2
  else
    curl --fail --silent --show-error --location --retry 3 --output "$zip" \
      "https://repo.maven.apache.org/maven2/${group//.//}/$name/$version/$name-$version.zip"
  fi
  sha256sum --check --quiet <<<"$sum  $zip" >&2 || { say "$artifact is not what tests/servers/keycloak/distribution pins"; exit 1; }
  unzip -q "$zip" -d "$part"
  cp "$here/keycloak/keycloak.conf" "$part/keycloak-$version/conf/"
  say "building keycloak $version (once, a quarter of a minute)"
  "$part/keycloak-$version/bin/kc.sh" build >&2
  rm -rf "${out:?}/keycloak"
  mv "$part/keycloak-$version" "$out/keycloak"
  rm -rf "$part"
  version_of keycloak >"$out/.keycloak.version"
}

wanted=()
for name in "${names[@]}"; do
  case $name in
    oidc | keycloak | kstatus | etcd | etcdutl | helm | kube-apiserver | kube-controller-manager | kube-scheduler | kubectl | kubelet) ;;
    *) say "unknown server: $name"; exit 2 ;;
  esac
  is_ready "$name" || wanted+=("$name")
done
if [ ${#wanted[@]} -gt 0 ]; then
  problem=$(missing "${wanted[@]}")
  if [ -n "$only_ask" ]; then
    echo "$problem"
    exit 0
  fi
  [ -z "$problem" ] || { say "missing: $problem"; exit 1; }
  for name in "${wanted[@]}"; do
    case $name in
      etcd) build etcd go.etcd.io/etcd/server/v3 "" ;;
      etcdutl) build etcdutl go.etcd.io/etcd/etcdutl/v3 "" ;;
      oidc) packages oidc ;;
      keycloak) keycloak ;;
      kstatus) build kstatus . "" ;;
      helm) build helm helm.sh/helm/v3/cmd/helm "" ;;
      *) kubernetes "$name" ;;
    esac
  done
fi
[ -n "$only_ask" ] || echo "$out"
