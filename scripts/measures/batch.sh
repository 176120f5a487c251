#!/usr/bin/env bash
# Batch rendering: long job files, kills, throughput, a real Slurm, a real MPI. Takes a model folder (default: ORRERY_MODEL)
set -euo pipefail
model=${1:-${ORRERY_MODEL:?name a model folder, as an argument or by ORRERY_MODEL}}
orrery=build/apps/orrery/orrery
[[ -x $orrery ]] || { echo "batch: no $orrery; ./run test builds it" >&2; exit 2; }
tests/bench/batch_lines.sh "$orrery" "$model"
tests/bench/batch_throughput.sh "$orrery" "$model" 16 1 --native
tests/bench/batch_throughput.sh "$orrery" "$model" 16 1
tests/cluster/slurm_test.sh "$orrery" "$model"
tests/cluster/mpi_test.sh "$orrery" "$model"
tests/bench/batch_kill.sh "$orrery" "$model" 1000 20
