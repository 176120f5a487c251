#!/usr/bin/env bash
# The physics score: twins told from lawful clips, laws and frames named, in other pictures and on MuJoCo's clips, speed
# physics.sh [SEED [COUNT]]: SEED 311 and COUNT 250 clips without more. MuJoCo's clips want python3 with mujoco and numpy.
set -euo pipefail
seed=${1:-311} count=${2:-250}
bench=build/tests/bench/physics_score_bench orrery=build/apps/orrery/orrery
[[ -x $bench && -x $orrery ]] || {
  echo "physics: no $bench or $orrery; configure with -DORRERY_BENCH=ON and build both" >&2
  exit 2
}
"$bench" --count "$count" --seed "$seed" --measured
for variant in plain noise fps15 fps60 background crf28; do
  echo "# $variant"
  "$bench" --count $((count / 5)) --seed $((seed + 2)) --variant "$variant"
done
echo "# crf28, 192 pixels"
"$bench" --count $((count / 10)) --seed $((seed + 2)) --variant crf28 --size 192
tests/bench/score_speed.sh "$orrery"
if python3 -c 'import mujoco, numpy' 2>/dev/null; then
  clips=$(mktemp -d)
  trap 'rm -rf "$clips"' EXIT
  python3 tests/bench/mujoco_clips.py make "$clips" --count $((count * 2 / 5 + 4)) --seed "$seed"
  python3 tests/bench/mujoco_clips.py score "$clips" "$orrery"
else
  echo "# MuJoCo's clips: left out, python3 has no mujoco and numpy"
fi
