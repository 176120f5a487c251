#!/usr/bin/env bash
# tests/bench/batch_lines.sh ORRERY MODEL [LINES]: what it costs to check a file of so many jobs (100,000) before the first one
# begins: `orrery batch --dry-run` by one thread on a file of one line, of half as many and of all of them. Prints wall time, processor time
# and the largest memory of each, and the differences from one line, which leave out loading the model and the trial clips.
set -euo pipefail
orrery=$1 model=$2 lines=${3:-100000}
command -v /usr/bin/time >/dev/null || { echo "batch_lines: no /usr/bin/time (package time)" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
awk -v n="$lines" 'BEGIN {
  split("a red ball bounces on the floor|a blue ball rolls to the right|two balls collide|a green ball falls", prompt, "|")
  for (i = 0; i < n; i++) {
    printf "{\"id\":\"clip-%06d\",\"prompt\":\"%s\",\"seed\":%d,\"seconds\":%d,\"temperature\":0.9", i, prompt[i % 4 + 1], i, 2 + i % 9
    if (i % 5 == 0) printf ",\"actions\":\"24:push-right@0.5,0.7\""
    print "}"
  }
}' >"$dir/all.jsonl"
printf '%-10s %10s %14s %12s\n' lines "wall s" "processor s" "memory MB"
for count in 1 $((lines / 2)) "$lines"; do
  head -n "$count" "$dir/all.jsonl" >"$dir/$count.jsonl"
  /usr/bin/time -f '%e %U %S %M' -o "$dir/time" "$orrery" batch "$dir/$count.jsonl" -o "$dir/out" -m "$model" --native -j 1 \
    --threads 1 --dry-run -q >"$dir/plan"
  grep -q "^$count jobs" "$dir/plan"
  read -r wall user system memory <"$dir/time"
  awk -v n="$count" -v w="$wall" -v c="$user" -v s="$system" -v m="$memory" \
    'BEGIN { printf "%-10d %10.2f %14.2f %12.1f\n", n, w, c + s, m / 1024 }' | tee -a "$dir/table"
done
awk 'NR == 1 { w = $2; c = $3; m = $4 } END {
  printf "checking %d lines: %.2f s by the clock, %.2f s of processor, %.1f MB (%.0f bytes a line)\n",
    $1, $2 - w, $3 - c, $4 - m, ($4 - m) * 1048576 / $1 }' "$dir/table"
