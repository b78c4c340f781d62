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

# Each binary begins with a line "Running" or "Doc-tests" and ends with "test result: ok. 12 passed; 0 failed; ...". One that crashed has
# no result and counts as one failure. Documentation tests have more than one result: those that must not compile are not merged with
# the others.
read -r passed failed crashed < <(awk '
  /^ +(Running|Doc-tests) / { crashed += open; open = 1 }
  /^test result: / { open = 0; passed += $4; failed += $6 }
  END { crashed += open; print passed + 0, failed + crashed, crashed + 0 }' "$output")
[ "$crashed" -eq 0 ] || echo "$crashed test binaries ended without a result, see above"
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || echo "the command ended with status $status before any test ran, see above"
echo "$passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
