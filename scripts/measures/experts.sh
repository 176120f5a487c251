#!/usr/bin/env bash
# how evenly experts are used after 500 training steps on this repository's own text
set -euo pipefail
./run bench experts --config tests/bench/experts.json --text apps core docs kernels physics_eval tests/core video viewer --tokens 300000 --seed "${1:-42}"
