#!/usr/bin/env bash
# Says in one sentence which tools are missing to build the project and its servers; silent if none is.
#
#   tests/tools.sh SERVER...     the servers that will be needed, names as for tests/servers/build.sh
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
missing=()
need() { missing+=("$1"); }

wanted=$(sed -n 's/^rust-version = "1\.\([0-9]*\)"$/\1/p' Cargo.toml)
if ! command -v cargo >/dev/null; then
  need "Rust 1.$wanted or later (cargo; https://rustup.rs)"
# rustup fetches the pinned version here, and shows that it does.
elif ! version=$(cargo --version); then
  need "a Rust toolchain (cargo is there but does not work, see above; https://rustup.rs)"
else
  minor=${version#cargo 1.}
  [ "${minor%%.*}" -ge "$wanted" ] || need "Rust 1.$wanted or later (found $version; https://rustup.rs)"
fi
# One of the dependencies compiles C.
command -v "${CC:-cc}" >/dev/null || need "a C compiler (${CC:-cc}; for example the package gcc)"
for_servers=$("$here/servers/build.sh" --missing "$@")
[ -z "$for_servers" ] || need "$for_servers"

[ ${#missing[@]} -gt 0 ] || exit 0
list=$(printf '%s; ' "${missing[@]}")
printf 'missing: %s\n' "${list%; }" >&2
exit 1
