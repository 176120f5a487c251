#!/usr/bin/env bash
# ops against the machine's ceilings; a training step against PyTorch (a python3 with torch, or ORRERY_PYTHON)
set -euo pipefail
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DORRERY_BENCH=ON >/dev/null
ninja -C build orrery training_step_bench >&2
build/apps/orrery/orrery bench ops "$@"
python=${ORRERY_PYTHON:-python3}
if "$python" -c 'import torch' 2>/dev/null; then
  "$python" tests/bench/training_step.py build/tests/bench/training_step_bench
else
  echo "engine: PyTorch left out: $python has no torch"
  printf '2\n2\n2\n' | build/tests/bench/training_step_bench bf16 "$(nproc)"
fi
