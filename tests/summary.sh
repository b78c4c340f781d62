#!/usr/bin/env bash
# Runs a command that runs Rust tests, shows its output, and counts in the last line what all test binaries said.
#
#   tests/summary.sh COMMAND...
#
# Fails if the command or any test failed, and if no test ran at all.
set -uo pipefail

export CARGO_TERM_COLOR=never
output=$(mktemp)
trap 'rm -f "$output"' EXIT

"$@" 2>&1 | tee "$output"
status=${PIPESTATUS[0]}

# Each binary begins with a line "Running" or "Doc-tests" and ends with "test result: ok. 12 passed; 0 failed; ...".
# One that crashed has no result and counts as one failure.
read -r passed failed crashed < <(awk '
  /^ +(Running|Doc-tests) / { begun += 1 }
  /^test result: / { ended += 1; passed += $4; failed += $6 }
  END { print passed + 0, failed + begun - ended, begun - ended }' "$output")
[ "$crashed" -eq 0 ] || echo "$crashed test binaries ended without a result, see above"
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || echo "the command ended with status $status before any test ran, see above"
echo "$passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
