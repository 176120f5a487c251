#!/usr/bin/env bash
# tests/bench/batch_throughput.sh ORRERY MODEL [JOBS [SECONDS [OPTIONS...]]]: the same jobs by `orrery generate` one by one and by
# `orrery batch`, in turns. Prints wall time and processor time of both with loading the model left out (measured apart, by
# a run that has nothing to make), and their ratios. On a machine with other work, the processor time is what counts.
set -euo pipefail
orrery=$1 model=$2 jobs=${3:-16} seconds=${4:-1}
shift $(($# < 4 ? $# : 4))
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
prompts=("a red ball bounces on the floor" "a blue ball rolls to the right" "two balls collide" "a green ball falls")
for ((i = 0; i < jobs; i++)); do
  printf '{"id":"c%05d","prompt":"%s","seed":%d,"seconds":%s}\n' "$i" "${prompts[i % 4]}" "$i" "$seconds"
done >"$dir/jobs.jsonl"
TIMEFORMAT='%R %U %S'
timed() { { time "$@" >/dev/null 2>"$dir/errors"; } 2>&1; }
sum() { awk '{ wall += $1; cpu += $2 + $3 } END { printf "%.2f %.2f", wall, cpu }'; }
one() { for ((i = 0; i < jobs; i++)); do
  timed "$orrery" generate "${prompts[i % 4]}" -s "$i" --seconds "$seconds" -o "$dir/one-$i.mp4" -m "$model" -q "$@"
done | sum; }
many() { timed "$orrery" batch "$dir/jobs.jsonl" -o "$dir/many" -m "$model" -q "$@" | sum; }
read -r one_wall one_cpu <<<"$(one "$@")"
read -r many_wall many_cpu <<<"$(many "$@")"
read -r load_wall load_cpu <<<"$(many "$@")"  # all is there already: only the load
for ((i = 0; i < jobs; i++)); do cmp "$dir/one-$i.mp4" "$dir/many/$(printf 'c%05d' "$i").mp4"; done
awk -v ow="$one_wall" -v oc="$one_cpu" -v mw="$many_wall" -v mc="$many_cpu" -v lw="$load_wall" -v lc="$load_cpu" -v n="$jobs" 'BEGIN {
  ow -= n * lw; oc -= n * lc; mw -= lw; mc -= lc
  printf "load %.2f s (%.2f s of processor)\none by one: %.2f s (%.2f)\nbatch:      %.2f s (%.2f)\nratio:      %.2f (%.2f)\n",
    lw, lc, ow, oc, mw, mc, ow / mw, oc / mc }'
