#!/usr/bin/env bash
# On a machine with a card: does it generate the CPU's tokens, and how fast are a clip and 64 clips, from the bundle
# gpu_generate [SECONDS]: all parts together under SECONDS (180). From a clone's root, for models/; needs what gpu.sh
# needs. Writes generate.csv (what, by, figure, unit) and generate.log to $OUT, else out/gpu-run. Asked: 20 of 20 prompts,
# a clip of 10 s in less than 2 s, 64 of them together at 200 times real time.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ -d $here/bin ]] || here=out/gpu
deadline=$((SECONDS + ${1:-180})) out=${OUT:-out/gpu-run}
mkdir -p "$out"
rows=$out/generate.csv log=$out/generate.log
echo "what,by,figure,unit" >"$rows"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | tee "$log"
wanted=$(ldd "$here/bin/gpu_generate" | awk '/libcublasLt/ {print $1}')
toolkit=$(find /usr/local/cuda*/ /usr/lib /opt -name "${wanted:-libcublasLt.so}" 2>/dev/null | head -n 1)
export LD_LIBRARY_PATH=$here/lib${toolkit:+:$(dirname "$toolkit")}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# part SECONDS ARGUMENTS...: rows into the table, all else into the log
part() {
  local left=$((deadline - SECONDS)) begin=$SECONDS limit result
  limit=$(($1 < left ? $1 : left))
  shift
  ((limit > 0)) || { echo "no time left for: $*" | tee -a "$log"; return; }
  timeout -k 2 "$limit" "$here/bin/gpu_generate" "$@" >"$out/part.csv" 2>>"$log" </dev/null
  result=$?
  tee -a "$rows" <"$out/part.csv"
  echo "part ended with $result after $((SECONDS - begin)) s: $*" | tee -a "$log"
}

part 40 clips models/orrery-64 cuda bf16 1 10
part 40 clips models/orrery-64 cuda bf16 64 10
part 60 tokens models/orrery-64 cuda 3
part 30 clips models/orrery-64 cuda i8 1 10
part 30 clips models/orrery-64-long cuda bf16 1 10
part 40 clips models/orrery-64-long cuda bf16 64 10
part 60 tokens models/orrery-64-long cuda 3
part 30 clips models/orrery-64 cuda f32 1 10
# What each kernel takes; steps are then not recorded.
ORRERY_DEVICE_PROFILE=$out/profile_generate.csv part 30 clips models/orrery-64 cuda bf16 64 1
rm -f "$out/part.csv"
