#!/usr/bin/env bash
# address and undefined-behaviour sanitizers: sanitizers [SECONDS of fuzzing, default 60] [TARGET..., default all checked]
set -euo pipefail
scripts/dependencies.sh install build test check
seconds=${1:-60}
shift $(($# > 0 ? 1 : 0))
select=(-L checked)
if [[ $# -gt 0 ]]; then
  select=(-R "^($(IFS='|'; echo "$*")|fuzz_.*)\$")
else
  set -- checked
fi
cmake --preset asan-ubsan >/dev/null
cmake --build build-asan-ubsan --target fuzz "$@"
UBSAN_OPTIONS=print_stacktrace=1 ctest --test-dir build-asan-ubsan --output-on-failure "${select[@]}"
scripts/fuzz "$seconds"
