#!/usr/bin/env bash
# The viewer: live frames a second of a model and drawing time under Xvfb, jumps in a ten-minute video. Takes a model folder
set -euo pipefail
model=${1:-models/orrery-64}
viewer=build/apps/viewer/orrery-viewer orrery=build/apps/orrery/orrery
[[ -x $viewer && -x $orrery ]] || { echo "viewer: no $viewer; ./run test builds it" >&2; exit 2; }
command -v xvfb-run >/dev/null || { echo "viewer: skipped, no xvfb-run here (package xvfb)"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for who in "--model $model" "--engine"; do
  # shellcheck disable=SC2086
  xvfb-run -a -s "-screen 0 1400x900x24" "$viewer" $who --script tests/viewer/live.json --screenshot-dir "$dir" -o "$dir"
  # What the world's thread could make while the window was drawn, and the mean of the last 120 drawn frames.
  echo "live, $who:"
  grep -E '"(world_frames_a_second|drawing_ms)"' "$dir/live.json"
done
scrub=build/tests/bench/viewer_scrub_bench
[[ -x $scrub ]] || { echo "viewer: no $scrub (cmake -DORRERY_BENCH=ON), so no jumps"; exit 0; }
"$orrery" simulate bounce --seconds 600 -W 512 -H 512 -o "$dir/long.mp4" -q
"$scrub" "$dir/long.mp4"
