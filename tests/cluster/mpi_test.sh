#!/usr/bin/env bash
# tests/cluster/mpi_test.sh ORRERY MODEL: two ranks of a real MPI share one queue; then one of them is killed while it works,
# and the other ends the batch. Rank 0's death too is survived.
set -euo pipefail
orrery=$(realpath "$1") model=$(realpath "$2") jobs=${3:-24}
if ! command -v mpirun >/dev/null || [[ $(mpirun --version 2>/dev/null) != *"Open MPI"* ]]; then
  echo "mpi_test: skipped, this machine lacks Open MPI's mpirun"
  exit 0
fi
if [[ $(ldd "$orrery") != *libmpi* ]]; then
  echo "mpi_test: skipped, this build has no MPI"
  exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for ((i = 0; i < jobs; i++)); do
  printf '{"id":"c%05d","prompt":"a red ball bounces","seed":%d,"seconds":1}\n' "$i" "$i"
done >"$dir/jobs.jsonl"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Ranks of two cores at most; they sleep between messages, so sharing a core is no harm.
ranks() {
  mpirun --enable-recovery --oversubscribe --bind-to none -n 2 "$orrery" batch "$dir/jobs.jsonl" -o "$1" -m "$model" \
    --native -q -j 2 --threads 1
}
check() {
  local lines twice workers
  lines=$(wc -l <"$1/manifest.jsonl")
  twice=$(cat "$1"/.batch/journal/*.jsonl | grep -o '"id":"[^"]*"' | sort | uniq -d | wc -l)
  workers=$(find "$1/.batch/journal" -name '*.jsonl' | wc -l)
  echo "mpi_test: $2: $lines lines of $jobs jobs, $twice done twice, by $workers ranks"
  [[ $lines == "$jobs" && $twice == 0 && $workers == 2 ]]
  "$orrery" batch --verify "$1" -q
}
ranks "$dir/both" >"$dir/both.log" 2>&1 || { cat "$dir/both.log" >&2; exit 1; }
check "$dir/both" "two ranks"
for rank in 1 0; do
  out=$dir/killed-$rank
  ranks "$out" >"$dir/killed.log" 2>&1 &
  mpi=$!
  for ((i = 0; i < 1200; i++)); do
    [[ $(find "$out" -maxdepth 1 -name '*.mp4' 2>/dev/null | wc -l) -ge 4 ]] && break
    sleep 0.1
  done
  for pid in $(pgrep -P "$(pgrep -P "$mpi" -x mpirun || echo "$mpi")"); do
    if tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx "OMPI_COMM_WORLD_RANK=$rank"; then kill -9 "$pid"; fi
  done
  status=0
  wait "$mpi" || status=$?
  echo "mpi_test: rank $rank was killed; mpirun ended with $status"
  check "$out" "rank $rank killed" || { cat "$dir/killed.log" >&2; exit 1; }
done
