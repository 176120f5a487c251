#!/usr/bin/env bash
# orrery batch as a Slurm array: each task makes its shard of the jobs, all into one folder. Killed, preempted or requeued,
# a task goes on where it stopped.
#   sbatch --array=0-3 scripts/slurm/batch_array.sh jobs.jsonl clips [further options of orrery batch]
# ORRERY names the program where it is not on PATH.
#SBATCH --job-name=orrery-batch
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@60
set -euo pipefail
if [[ $# -lt 2 || -z ${SLURM_ARRAY_TASK_ID:-} ]]; then
  sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
jobs=$1 out=$2
shift 2
# exec: Slurm's SIGTERM reaches the program itself, which then keeps what it has drawn.
exec "${ORRERY:-orrery}" batch "$jobs" -o "$out" --threads "${SLURM_CPUS_PER_TASK:-0}" "$@"
