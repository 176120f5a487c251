#!/usr/bin/env bash
# tests/bench/batch_kill.sh ORRERY MODEL [JOBS [KILLS]]: a batch killed with SIGKILL at random moments and started again ends as
# an undisturbed one, file for file, with each job once in the journals, and nothing half written is ever visible. The jobs are
# as short as can be, one or two latent frames: it is about files. `tiny_model FOLDER` (-DORRERY_BENCH=ON) writes a model for it.
set -euo pipefail
orrery=$1 model=$2 jobs=${3:-1000} kills=${4:-20}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
prompts=("a red ball" "the floor" "a ball" "on the floor")
lengths=(0.04 0.2)
for ((i = 0; i < jobs; i++)); do
  printf '{"id":"c%05d","prompt":"%s","seed":%d,"seconds":%s}\n' "$i" "${prompts[i % 4]}" "$i" "${lengths[i % 2]}"
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

mkdir "$dir/killed"
clips() { find "$dir/killed" -maxdepth 1 -name '*.mp4' | wc -l; }
killed=0 partial=0
for ((round = 0; killed < kills && round < 10 * kills; round++)); do
  # By what is done, not by the clock, so that other work on the machine changes nothing: some are killed while they load.
  target=$(($(clips) + RANDOM % (jobs * 3 / 2 / kills)))
  "${command[@]}" -o "$dir/killed" >/dev/null 2>&1 &
  pid=$!
  sleep "$(echo "$load / 2 * $RANDOM / 32768" | bc -l)"
  while [[ $(clips) -lt $target ]] && kill -0 "$pid" 2>/dev/null; do sleep "0.0$((RANDOM % 10))"; done
  if kill -9 "$pid" 2>/dev/null; then killed=$((killed + 1)); fi
  wait "$pid" 2>/dev/null || true
  hashes "$dir/killed" >"$dir/seen"
  if [[ -n $(comm -23 <(sort "$dir/seen") <(sort "$dir/expected")) ]]; then partial=$((partial + 1)); fi
done
done_by_kills=$(clips)
"${command[@]}" -o "$dir/killed"
hashes "$dir/killed" >"$dir/seen"
twice=$(cat "$dir"/killed/.batch/journal/*.jsonl | grep -o '"id":"[^"]*"' | sort | uniq -d | wc -l)
lines=$(wc -l <"$dir/killed/manifest.jsonl")
echo "killed $killed times, $done_by_kills clips were done by then; after it: $lines manifest lines, $twice jobs twice in the journals, $partial looks that saw a file that is not final"
cmp "$dir/seen" "$dir/expected" && echo "the same files"
"$orrery" batch --verify "$dir/killed" -q
[[ $killed == "$kills" && $twice == 0 && $partial == 0 && $lines == "$jobs" ]]
