#!/usr/bin/env bash
# tests/bench/video_io.sh [BUILD [TURNS [SECONDS]]]   times our reader and writer against the ffmpeg command, same work, same
# run, by turns. Decode: H.264 to 8-bit RGB. Transcode: H.264 → RGB → H.264 (medium, CRF 17, a key frame every 2 s, 4 threads).
# Prints medians by the clock and of processor time (user and system), and ffmpeg's over ours (1: as fast; 0.8 is the aim). On a
# machine with other work the processor time is what counts. ffmpeg keeps its default scaler, which is quicker and less exact
# than ours. Build first with -DORRERY_BENCH=ON, target video_io_bench.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bench=${1:-build}/tests/bench/video_io_bench turns=${2:-5} length=${3:-10}
[[ -x $bench ]] || { echo "video_io.sh: no $bench; configure with -DORRERY_BENCH=ON and build video_io_bench" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

TIMEFORMAT='%R %U %S'
timed() { { time "$@" >"$work/log" 2>&1; } 2>&1 | awk '{ print $1, $2 + $3 }'; }
median() { cut -d ' ' -f "$1" "$2" | sort -n | sed -n "$(((turns + 1) / 2))p"; }

compare() {  # NAME, then arrays ours and theirs
  local i
  : >"$work/ours"; : >"$work/theirs"
  for ((i = 0; i < turns; i++)); do
    timed "${ours[@]}" >>"$work/ours"
    timed "${theirs[@]}" >>"$work/theirs"
  done
  awk -v name="$1" -v a="$(median 1 "$work/ours")" -v b="$(median 1 "$work/theirs")" -v c="$(median 2 "$work/ours")" \
    -v d="$(median 2 "$work/theirs")" 'BEGIN {
      printf "%-20s clock: orrery %6.3f s, ffmpeg %6.3f s, ratio %.2f   processor: %6.3f s, %6.3f s, ratio %.2f\n",
        name, a, b, b / a, c, d, d / c }'
}

for size in 128x128 512x512 1280x720; do
  ffmpeg -v error -f lavfi -i "testsrc2=size=$size:rate=24:duration=$length" -c:v libx264 -crf 17 -pix_fmt yuv420p \
    -colorspace bt709 -color_primaries bt709 -color_trc bt709 -y "$work/in.mp4"
  ours=("$bench" decode "$work/in.mp4")
  theirs=(ffmpeg -v error -i "$work/in.mp4" -f rawvideo -pix_fmt rgb24 -y /dev/null)
  compare "decode $size"
  ours=("$bench" transcode "$work/in.mp4" "$work/a.mp4")
  theirs=(ffmpeg -v error -i "$work/in.mp4" -vf format=rgb24,format=yuv420p -c:v libx264 -preset medium -crf 17 -g 48
    -threads 4 -movflags +faststart -y "$work/b.mp4")
  compare "transcode $size"
done
