#!/usr/bin/env bash
# seconds of a full build without compiler cache, and of the rebuild after one kernel was touched
set -euo pipefail
folder=build-timed
trap 'rm -rf "$folder"' EXIT
cmake -S . -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DORRERY_CUDA=OFF -DCMAKE_CXX_COMPILER_LAUNCHER=env >/dev/null
timed() {
  local name=$1 start
  shift
  start=$(date +%s.%N)
  "$@" >/dev/null
  printf '%-44s %6.1f s\n' "$name" "$(echo "$(date +%s.%N) - $start" | awk '{print $1 - $3}')"
}
timed "orrery alone" ninja -C "$folder" orrery
timed "and then everything" ninja -C "$folder"
timed "nothing to do" ninja -C "$folder"
kernel=${1:-kernels/cpu/norm.cc}
touch "$kernel"
timed "everything after touching $kernel" ninja -C "$folder"
