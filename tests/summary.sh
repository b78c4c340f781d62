#!/usr/bin/env bash
# Runs a command that runs Rust tests, shows its output, and counts in the last line what all test binaries said.
#
#   tests/summary.sh COMMAND...
#
# Fails if the command or any test failed, and if no test ran at all.
set -uo pipefail

output=$(mktemp)
trap 'rm -f "$output"' EXIT

"$@" 2>&1 | tee "$output"
status=${PIPESTATUS[0]}

# test result: ok. 12 passed; 0 failed; 1 ignored; ...
read -r passed failed < <(awk '/^test result: / { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$output")
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
  echo "the command ended with status $status although no test failed: a build error or a crash, see above"
fi
echo "$passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
