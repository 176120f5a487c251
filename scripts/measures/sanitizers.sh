# builds the checked tests with address and undefined-behaviour sanitizers, runs them, then fuzzes for SECONDS (default 60)
set -euo pipefail
cmake --preset asan-ubsan >/dev/null
cmake --build build-asan-ubsan --target checked
UBSAN_OPTIONS=print_stacktrace=1 ctest --test-dir build-asan-ubsan --output-on-failure -L checked
scripts/fuzz "${1:-60}"
