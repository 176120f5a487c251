#!/usr/bin/env bash
# all device tests with the CUDA kernels compiled as plain C++ (docs/decisions/0007): some ten minutes on one core
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ninja -C build tests_cuda_on_host >&2
exec build/tests/kernels/cuda/tests_cuda_on_host "~[cpu]" -d yes
