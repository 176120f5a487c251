#!/usr/bin/env bash
# tests/bench/video_io.sh [BUILD]   times our reader and writer against the ffmpeg command, same work, same run, by turns.
# Decode: H.264 to 8-bit RGB. Transcode: H.264 → RGB → H.264 (medium, CRF 17, a key frame every 2 s, 4 threads).
# Prints the median of five turns each and ffmpeg's time over ours (1: as fast; 0.8 is the aim). ffmpeg keeps its default
# scaler, which is quicker and less exact than ours. Build first with -DORRERY_BENCH=ON, target video_io_bench.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bench=${1:-build}/tests/bench/video_io_bench
[[ -x $bench ]] || { echo "video_io.sh: no $bench; configure with -DORRERY_BENCH=ON and build video_io_bench" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

seconds() { local start end; start=$(date +%s.%N); "$@" >"$work/log" 2>&1; end=$(date +%s.%N); awk "BEGIN {print $end - $start}"; }
median() { sort -n | sed -n 3p; }

compare() {  # NAME, then arrays ours and theirs
  local name=$1 i
  : >"$work/ours"; : >"$work/theirs"
  for i in 1 2 3 4 5; do
    seconds "${ours[@]}" >>"$work/ours"
    seconds "${theirs[@]}" >>"$work/theirs"
  done
  local a b
  a=$(median <"$work/ours"); b=$(median <"$work/theirs")
  printf '%-22s orrery %6.3f s   ffmpeg %6.3f s   ratio %.2f\n' "$name" "$a" "$b" "$(awk "BEGIN {print $b / $a}")"
}

for size in 128x128 512x512 1280x720; do
  ffmpeg -v error -f lavfi -i "testsrc2=size=$size:rate=24:duration=10" -c:v libx264 -crf 17 -pix_fmt yuv420p \
    -colorspace bt709 -color_primaries bt709 -color_trc bt709 -y "$work/in.mp4"
  ours=("$bench" decode "$work/in.mp4")
  theirs=(ffmpeg -v error -i "$work/in.mp4" -f rawvideo -pix_fmt rgb24 -y /dev/null)
  compare "decode $size"
  ours=("$bench" transcode "$work/in.mp4" "$work/a.mp4")
  theirs=(ffmpeg -v error -i "$work/in.mp4" -vf format=rgb24,format=yuv420p -c:v libx264 -preset medium -crf 17 -g 48
    -threads 4 -movflags +faststart -y "$work/b.mp4")
  compare "transcode $size"
done
