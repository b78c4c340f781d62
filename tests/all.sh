#!/usr/bin/env bash
# Everything that CI runs after linting: the programs that judge the operator as a whole, then all tests. Each program counts as
# one test; it prints its table and one line of JSON, and what it found wrong. `tests/summary.sh` counts.
#
# The model computes and the soak waits, so the two run side by side. Faults at every effect and the real kubelet have targets of
# their own.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo=${CARGO:-cargo}
checked=(--locked --profile checked --features "testkit,faults,model")
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=0

# Runs a program into a file; `told` shows it when it has ended.
start() { # name command...
  local name=$1
  shift
  ( "$@" >"$logs/$name" 2>&1; echo $? >"$logs/$name.status" ) </dev/null &
}

told() { # name...: waits for all, then shows each as a test
  wait
  local name status
  for name in "$@"; do
    echo "     Running program $name"
    cat "$logs/$name"
    status=$(cat "$logs/$name.status" 2>/dev/null || echo "no status")
    if [ "$status" = 0 ]; then
      echo "test result: ok. 1 passed; 0 failed; program $name"
    else
      echo "test result: FAILED. 0 passed; 1 failed; program $name ended with $status"
      failed=1
    fi
  done
}

# In one call, so that all are built with the same features.
"$cargo" build "${checked[@]}" --bin tokenturn --example model --example soak || exit 1
programs=target/checked/examples
start model "$programs/model" --limit 12 --large 90
start soak "$programs/soak" --short
told model soak
"$cargo" test --locked --features testkit --no-fail-fast || failed=1
exit $failed
