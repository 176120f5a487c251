#!/usr/bin/env bash
# Worlds and video files: frames a second of each world, reading and writing against ffmpeg, 10,000 clips killed and resumed
set -euo pipefail
bench=build/tests/bench
[[ -x $bench/video_io_bench && -x $bench/worlds_bench ]] || {
  echo "files: no $bench/video_io_bench or worlds_bench; configure with -DORRERY_BENCH=ON and build both" >&2
  exit 2
}
"$bench/worlds_bench" 0.1
tests/bench/video_io.sh build
tests/bench/data_kill.sh build/apps/orrery/orrery 10000 --size 32
