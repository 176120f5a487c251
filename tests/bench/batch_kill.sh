#!/usr/bin/env bash
# tests/bench/batch_kill.sh ORRERY MODEL [JOBS [KILLS]]: a batch killed with SIGKILL at random moments and started again ends as
# an undisturbed one, file for file, with each job once in the journals, and nothing half written is ever visible.
set -euo pipefail
orrery=$1 model=$2 jobs=${3:-1000} kills=${4:-20}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
prompts=("a red ball" "the floor" "a ball" "on the floor")
for ((i = 0; i < jobs; i++)); do
  printf '{"id":"c%05d","prompt":"%s","seed":%d,"seconds":%s}\n' "$i" "${prompts[i % 4]}" "$i" "0.$((4 + i % 3 * 7))"
done >"$dir/jobs.jsonl"
command=("$orrery" batch "$dir/jobs.jsonl" -m "$model" --native -q)
hashes() { (cd "$1" && find . -maxdepth 1 -type f ! -name manifest.jsonl -print0 | sort -z | xargs -0 -r sha256sum); }

start=$(date +%s.%N)
"${command[@]}" -o "$dir/whole"
whole=$(echo "$(date +%s.%N) - $start" | bc)
hashes "$dir/whole" >"$dir/expected"
start=$(date +%s.%N)
"${command[@]}" -o "$dir/whole"  # all is there already: only the load
load=$(echo "$(date +%s.%N) - $start" | bc)
echo "undisturbed: $jobs jobs in $whole s, of it $load s to load the model"

killed=0 partial=0
for ((round = 0; killed < kills && round < 10 * kills; round++)); do
  "${command[@]}" -o "$dir/killed" >/dev/null 2>&1 &
  pid=$!
  # Some are killed while they load, most within their share of the work.
  sleep "$(echo "$load / 2 + ($load / 2 + $whole / $kills) * $RANDOM / 32768" | bc -l)"
  if kill -9 "$pid" 2>/dev/null; then killed=$((killed + 1)); fi
  wait "$pid" 2>/dev/null || true
  [[ -d $dir/killed ]] || continue
  hashes "$dir/killed" >"$dir/seen"
  if [[ -n $(comm -23 <(sort "$dir/seen") <(sort "$dir/expected")) ]]; then partial=$((partial + 1)); fi
done
done_by_kills=$(find "$dir/killed" -maxdepth 1 -name '*.mp4' | wc -l)
"${command[@]}" -o "$dir/killed"
hashes "$dir/killed" >"$dir/seen"
twice=$(cat "$dir"/killed/.batch/journal/*.jsonl | grep -o '"id":"[^"]*"' | sort | uniq -d | wc -l)
lines=$(wc -l <"$dir/killed/manifest.jsonl")
echo "killed $killed times, $done_by_kills clips were done by then; after it: $lines manifest lines, $twice jobs twice in the journals, $partial looks that saw a file that is not final"
cmp "$dir/seen" "$dir/expected" && echo "the same files"
"$orrery" batch --verify "$dir/killed" -q
[[ $killed == "$kills" && $twice == 0 && $partial == 0 && $lines == "$jobs" ]]
