#!/bin/bash
# What `orrery score physics` of a clip of ten seconds at 256x256 costs on two threads, and whether its JSON is the same
# bytes on one: prints wall and processor time of three runs. Usage: score_speed.sh ORRERY [SCENE]
set -euo pipefail
orrery=$1 scene=${2:-collide}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$orrery" simulate "$scene" -o "$folder/clip.mp4" -W 256 -H 256 --seconds 10 --seed 3 >/dev/null
TIMEFORMAT='%R s, processor %U + %S s'
for run in 1 2 3; do
  printf 'run %d: ' "$run"
  time "$orrery" --threads 2 score physics --json "$folder/clip.mp4" >"$folder/two.json"
done
"$orrery" --threads 1 score physics --json "$folder/clip.mp4" >"$folder/one.json"
cmp "$folder/one.json" "$folder/two.json" && echo "the same bytes of JSON on one and on two threads"
