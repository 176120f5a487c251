#!/usr/bin/env bash
# thread sanitizer over the checked tests with the reference kernels (clang and its own OpenMP, whose races it can see)
set -euo pipefail
scripts/dependencies.sh install build test check
cmake --preset tsan >/dev/null
cmake --build build-tsan --target checked
ORRERY_KERNEL='*=reference' TSAN_OPTIONS=ignore_noninstrumented_modules=1 \
  ctest --test-dir build-tsan --output-on-failure -L checked "$@"
