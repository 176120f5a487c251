#!/usr/bin/env bash
# a million inputs through each fuzz target (scripts/measure fuzz [NAME...])
set -euo pipefail
scripts/dependencies.sh install build test check
cmake --preset asan-ubsan >/dev/null
cmake --build build-asan-ubsan --target fuzz
scripts/fuzz 1000000runs "$@"
