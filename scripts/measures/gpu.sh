#!/usr/bin/env bash
# On a machine with a card: the device's tests, a table of kernel speeds, generation, then training for some minutes
# gpu MINUTES CONFIG.toml [CODEC_FOLDER] [TRAINING_FOLDER]: from the bundle that gpu_bundle packed (out/gpu, or this
# script's own folder). CODEC_FOLDER overrides the configuration's. Logs and the trained folder go to $OUT, else out/gpu-run.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ -d $here/bin ]] || here=out/gpu
minutes=${1:-0} config=${2:-} codec=${3:-} folder=${4:-}
out=${OUT:-out/gpu-run}
mkdir -p "$out"
folder=${folder:-$out/model}
# The toolkit's own libraries after ours: cuBLASLt is too large to carry.
wanted=$(ldd "$here/bin/orrery-train" | awk '/libcublasLt/ {print $1}')
toolkit=$(find /usr/local/cuda*/ /usr/lib /opt -name "${wanted:-libcublasLt.so}" 2>/dev/null | head -n 1)
export LD_LIBRARY_PATH=$here/lib${toolkit:+:$(dirname "$toolkit")}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
missing=$(ldd "$here/bin/orrery-train" | grep 'not found')
[[ -n $missing ]] && { echo "gpu: this machine lacks $missing" >&2; exit 1; }
export ORRERY_TEST_FIXTURES=$here
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | tee "$out/card.txt"

echo "== tests"
timeout 150 "$here/bin/tests_cuda" "~[cpu]" >"$out/tests.log" 2>&1
echo "tests end with $?"
tail -n 5 "$out/tests.log"
if command -v compute-sanitizer >/dev/null && [[ ${ORRERY_SANITIZER:-0} == 1 ]]; then
  timeout 240 compute-sanitizer --tool memcheck "$here/bin/tests_cuda" "[parity]" >"$out/memcheck.log" 2>&1
  tail -n 3 "$out/memcheck.log"
fi

echo "== kernels"
timeout 120 "$here/bin/device_bench" | tee "$out/kernels.csv"

echo "== generation"
"$here/gpu_generate.sh" 150

if [[ -n $config && $minutes != 0 ]]; then
  echo "== training for $minutes minutes"
  cp "$config" "$out/config.toml"
  [[ -n $codec ]] && sed -i "s|^codec_folder *=.*|codec_folder = \"$codec\"|" "$out/config.toml"
  kind=model
  grep -q '^\[codec\]' "$out/config.toml" && kind=codec
  "$here/bin/orrery-train" --device cuda train $kind "$out/config.toml" -o "$folder" \
    --max-seconds $((minutes * 60)) 2>&1 | tail -n 20
  tail -n 3 "$folder/log.jsonl"
fi
