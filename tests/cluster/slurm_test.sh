#!/usr/bin/env bash
# tests/cluster/slurm_test.sh ORRERY MODEL: a real Slurm of one node runs a batch as an array of four shards; one task is
# requeued while it runs, one cancelled and submitted again; the manifest ends complete, each job done once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
orrery=$(realpath "$1") model=$(realpath "$2") jobs=${3:-32}
# shellcheck source=tests/cluster/one_node_slurm.sh
source "$here/one_node_slurm.sh"
missing=$(slurm_missing)
if [[ -n $missing ]]; then
  echo "slurm_test: skipped, this machine lacks: $missing"
  exit 0
fi
dir=$(mktemp -d /var/tmp/orrery-slurm-XXXXXX)
trap 'slurm_stop; rm -rf "$dir"' EXIT
slurm_pids=()
slurm_start "$dir/slurm" 4

for ((i = 0; i < jobs; i++)); do
  printf '{"id":"c%05d","prompt":"a red ball bounces","seed":%d,"seconds":1}\n' "$i" "$i"
done >"$dir/jobs.jsonl"
export ORRERY=$orrery OMP_WAIT_POLICY=passive
submit() {
  sbatch --parsable --array="$1" --cpus-per-task=1 --output="$dir/task-%a.log" "$here/../../scripts/slurm/batch_array.sh" \
    "$dir/jobs.jsonl" "$dir/clips" -m "$model" --native -q -j 2
}
clips() { find "$dir/clips" -maxdepth 1 -name '*.mp4' 2>/dev/null | wc -l; }
wait_for() { for ((i = 0; i < 1800; i++)); do "$@" && return 0; sleep 0.1; done; return 1; }
some() { [[ $(clips) -ge $1 ]]; }
idle() { [[ -z $(squeue -h) ]]; }

array=$(submit 0-3)
wait_for some 2
scontrol requeue "${array}_1"
scancel "${array}_2"
echo "slurm_test: after $(clips) clips, task 1 was requeued and task 2 cancelled"
sleep 1
# Slurm holds a requeued job back for two minutes.
scontrol update JobId="${array}_1" StartTime=now
sleep 1
again=$(SLURM_ARRAY_TASK_COUNT=4 sbatch --parsable --array=2 --cpus-per-task=1 --output="$dir/task-2-again.log" \
  --wrap="exec '$orrery' batch '$dir/jobs.jsonl' -o '$dir/clips' -m '$model' --native -q -j 2 --shard 2/4")
wait_for idle
echo "slurm_test: array $array and $again are done: $(clips) clips"
"$orrery" batch --verify "$dir/clips" -q
lines=$(wc -l <"$dir/clips/manifest.jsonl")
twice=$(cat "$dir"/clips/.batch/journal/*.jsonl | grep -o '"id":"[^"]*"' | sort | uniq -d | wc -l)
workers=$(find "$dir/clips/.batch/journal" -name '*.jsonl' | wc -l)
echo "slurm_test: $lines lines of $jobs jobs, $twice done twice, by $workers processes"
if [[ $lines != "$jobs" || $twice != 0 || $workers -lt 4 ]]; then
  tail -n 5 "$dir"/task-*.log >&2
  exit 1
fi
