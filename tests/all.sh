#!/usr/bin/env bash
# Everything that CI runs after linting: the programs that judge the operator as a whole, then all tests. Each program counts as
# one test; it prints its table and one line of JSON, and what it found wrong. `tests/summary.sh` counts.
#
# The model computes while the soak waits, so it runs beside it and gives way, and so do the tests that are compiled while the
# kubelet waits. The attacks of `hostile` run alone, because answers and memory are measured. The kubelet runs without the case that saturates the API server, which takes all that the machine has. A sample of
# the faults is run. All cases and all faults have targets of their own.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo=${CARGO:-cargo}
checked=(--locked --profile checked --features "testkit,faults,model")
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=0

# Runs a program into a file; `told` shows it when it has ended.
declare -A started
start() { # name command...
  local name=$1
  shift
  ( "$@" >"$logs/$name" 2>&1; echo $? >"$logs/$name.status" ) </dev/null &
  started[$name]=$!
}

told() { # name...: waits for each, then shows it as a test
  local name status
  for name in "$@"; do
    wait "${started[$name]}"
    echo "     Running program $name"
    cat "$logs/$name"
    status=$(cat "$logs/$name.status" 2>/dev/null || echo "no status")
    if [ "$status" = 77 ]; then
      echo "test result: ok. 0 passed; 0 failed; 1 ignored; program $name"
    elif [ "$status" = 0 ]; then
      echo "test result: ok. 1 passed; 0 failed; program $name"
    else
      echo "test result: FAILED. 0 passed; 1 failed; program $name ended with $status"
      failed=1
    fi
  done
}

# In one call, so that all are built with the same features.
"$cargo" build "${checked[@]}" --bin tokenturn --example model --example soak --example hostile --example kubelet --example faults ||
  exit 1
programs=target/checked/examples
start model nice -n 19 "$programs/model" --limit 5 --large 40
start soak "$programs/soak" --short
told soak model
start hostile "$programs/hostile" --short
told hostile
start kubelet tests/kubelet.sh --or-skip --gentle
start compile nice -n 19 "$cargo" test --locked --features testkit --no-run
told kubelet
wait "${started[compile]}"
start faults "$programs/faults" --every 16
told faults
"$cargo" test --locked --features testkit --no-fail-fast || failed=1
exit $failed
