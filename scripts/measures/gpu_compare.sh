#!/usr/bin/env bash
# On a machine with a card: training steps and long attention beside PyTorch's, from the bundle that gpu_bundle packed
# gpu_compare [SECONDS]: each part under its own limit, all together under SECONDS (200). Needs what gpu.sh needs, and
# python3 with torch. Writes to $OUT, else out/gpu-run: compare.csv (what, by, milliseconds, TFLOP/s, its share of
# the measured bf16 product and of the datasheet's 989 TFLOP/s: for training, MFU) and compare.log. A part that fails
# says so there, and the next one runs.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ -d $here/bin ]] || here=out/gpu
deadline=$((SECONDS + ${1:-200})) out=${OUT:-out/gpu-run}
mkdir -p "$out"
rows=$out/compare_rows.csv log=$out/compare.log
: >"$rows"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | tee "$log"
wanted=$(ldd "$here/bin/orrery-train" | awk '/libcublasLt/ {print $1}')
toolkit=$(find /usr/local/cuda*/ /usr/lib /opt -name "${wanted:-libcublasLt.so}" 2>/dev/null | head -n 1)
ours=$here/lib${toolkit:+:$(dirname "$toolkit")}

# part SECONDS COMMAND...: its lines into the rows, all else into the log. No pipe: what a killed part leaves running
# would hold it open.
part() {
  local left=$((deadline - SECONDS)) begin=$SECONDS result
  local limit=$(($1 < left ? $1 : left))
  shift
  echo "== $*" >>"$log"
  ((limit > 0)) || { echo "no time left for: $*" | tee -a "$log"; return 0; }
  timeout -k 2 "$limit" "$@" >"$out/part.csv" 2>>"$log" </dev/null
  result=$?
  tee -a "$rows" <"$out/part.csv"
  echo "part ended with $result after $((SECONDS - begin)) s: $*" | tee -a "$log"
  return "$result"
}
orrery() { part "$1" env LD_LIBRARY_PATH="$ours" "$here/bin/$2" "${@:3}"; }
torch() { part "$1" env PYTHONUNBUFFERED=1 python3 "$here/gpu_training_step.py" "${@:2}"; }

orrery 15 gpu_training_step cuda product 8192
orrery 25 gpu_training_step cuda "$here/width_2048.json" 8 2048 "training step of width 2048"
orrery 25 gpu_training_step cuda "$here/orrery_64.json" 8 4092 "training step of orrery-64"
orrery 25 device_bench cuda attention 131072
torch 25 attention 16 131072 128
torch 60 "$here/width_2048.json" 8 2048 "training step of width 2048" ||
  torch 25 "$here/width_2048.json" 8 2048 "training step of width 2048" --eager
torch 60 "$here/orrery_64.json" 8 4092 "training step of orrery-64" ||
  torch 25 "$here/orrery_64.json" 8 4092 "training step of orrery-64" --eager

rm -f "$out/part.csv"
awk -F, 'BEGIN { print "what,by,ms,TFLOP/s,of the product,of 989 TFLOP/s" }
  NF < 4 { next }
  $1 ~ /^product/ { peak = $NF }
  { printf "%s,%.3f,%.3f\n", $0, peak ? $NF / peak : 0, $NF / 989 }' "$rows" | tee "$out/compare.csv"
