#!/usr/bin/env bash
# The viewer: live rate, drawing, pushes, jumps in a ten-minute video, the desk (drops, keys, fine screens). Takes a model folder
set -euo pipefail
model=${1:-models/orrery-64}
viewer=build/apps/viewer/orrery-viewer orrery=build/apps/orrery/orrery bench=build/tests/bench
[[ -x $viewer && -x $orrery ]] || { echo "viewer: no $viewer; ./run test builds it" >&2; exit 2; }
command -v xvfb-run >/dev/null || { echo "viewer: skipped, no xvfb-run here (package xvfb)"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
TIMEFORMAT='    the whole program: %R s by the clock, %U + %S s of processor'
# What the world's thread could make a second, and the mean of the last 120 drawn frames; by the clock, and by the processor
# time of their threads, which other work on the machine changes little. The driver draws on threads of its own, but not in
# the second run, which so has all that drawing costs. "changed": of the frames that looked other than the one before.
for who in "--model $model" "--engine"; do
  for threads in "" 0; do
    echo "live, $who${threads:+, drawn by one thread}:"
    # shellcheck disable=SC2086
    time xvfb-run -a -s "-screen 0 1400x900x24" env ${threads:+LP_NUM_THREADS=$threads} "$viewer" $who \
      --script tests/viewer/live.json --screenshot-dir "$dir" -o "$dir"
    grep -E '"(world_frames_a_(processor_)?second|drawing_(processor_)?ms(_changed)?|changed_frames|drawn_share_changed)"' "$dir/live.json"
  done
done
[[ -x $bench/viewer_scrub_bench ]] || { echo "viewer: no benches in $bench (cmake -DORRERY_BENCH=ON), so no jumps"; exit 0; }
"$bench/viewer_push_bench" "$model"
"$orrery" simulate bounce --seconds 600 -W 512 -H 512 -o "$dir/long.mp4" -q
/usr/bin/time -f "    largest memory %M KB" "$bench/viewer_scrub_bench" "$dir/long.mp4"
tests/bench/viewer_desk.sh build out/measure/viewer_desk
