#!/usr/bin/env bash
# tests/bench/viewer_desk.sh BUILD DIR [PYTHON]: the window as a real desk treats it: files dropped by a file manager's
# protocol (XDND), real keys, another keyboard's letters, a screen of 192 dots an inch, closing while it records. Prints what
# it checked and leaves screenshots in DIR, to be looked at. Needs xvfb, xdotool, xrdb, setxkbmap, and a PYTHON with python-xlib.
set -euo pipefail
build=$(realpath "$1") out=$2 python=${3:-python3} here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
viewer=$build/apps/viewer/orrery-viewer orrery=$build/apps/orrery/orrery
for tool in Xvfb xdotool xrdb setxkbmap; do
  command -v "$tool" >/dev/null || { echo "viewer_desk: skipped, no $tool here"; exit 0; }
done
"$python" -c 'import Xlib' 2>/dev/null || { echo "viewer_desk: skipped, $python lacks python-xlib"; exit 0; }
mkdir -p "$out"
out=$(realpath "$out")
work=$(mktemp -d)
export XDG_CONFIG_HOME=$work/config XAUTHORITY=$work/authority
: >"$XAUTHORITY"  # python-xlib wants a file, if an empty one
pids=()
stop() { local pid; for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT
Xvfb -displayfd 3 -noreset -screen 0 2800x1800x24 -nolisten tcp 3>"$work/display" 2>/dev/null &
pids+=($!)
for ((i = 0; i < 100; i++)); do [[ -s $work/display ]] && break; sleep 0.1; done
DISPLAY=:$(cat "$work/display")
export DISPLAY
failed=0
check() { if "${@:2}"; then echo "ok: $1"; else echo "FAILED: $1"; failed=1; fi; }

open_viewer() {  # FOLDER ARGUMENTS...
  mkdir -p "$1"
  "$viewer" "${@:2}" -o "$1" 2>"$1/errors" &
  window_pid=$!
  pids+=("$window_pid")
  for ((i = 0; i < 600; i++)); do
    window=$(xdotool search --pid "$window_pid" --name Orrery 2>/dev/null | tail -n 1) && [[ -n $window ]] && break
    sleep 0.1
  done
  xdotool mousemove --window "$window" 400 300
  sleep 4
}
close_viewer() {  # as the window manager's cross does
  "$python" "$here/close_window.py" "$window" || return 1
  for ((i = 0; i < 300; i++)); do kill -0 "$window_pid" 2>/dev/null || return 0; sleep 0.1; done
  return 1
}
appears() { for ((i = 0; i < 200; i++)); do [[ -s $1 ]] && return 0; sleep 0.1; done; return 1; }
shot() {  # NAME: the window's own screenshot key
  local next=1
  while [[ -e $folder/screenshot-$next.png ]]; do next=$((next + 1)); done
  xdotool key s
  appears "$folder/screenshot-$next.png" && sleep 1 && cp "$folder/screenshot-$next.png" "$out/$1.png"
}

"$orrery" simulate pendulum --seconds 2 -W 320 -H 320 -o "$work/pendulum.mp4" -q
"$orrery" simulate orbit --seconds 2 -W 320 -H 320 -o "$work/orbit.mp4" -q
mkdir "$work/clips"
cp "$work"/*.mp4 "$work/clips"

folder=$work/plain
open_viewer "$folder" --engine -W 1280 -H 800
check "the S key takes a screenshot" shot scale-1
drop() { "$python" "$here/xdnd_drop.py" "$window" "$@"; }
check "a video dropped by XDND is taken" drop "$work/pendulum.mp4"
sleep 3
check "and shown (dropped-one.png)" shot dropped-one
check "two videos dropped together are taken" drop "$work/pendulum.mp4" "$work/orbit.mp4"
sleep 3
check "and shown beside each other (dropped-two.png)" shot dropped-two
check "a folder dropped is taken" drop "$work/clips"
sleep 3
check "and shown as a sheet (dropped-folder.png)" shot dropped-folder
xdotool key F1
sleep 1
check "F1 opens help (help.png)" shot help
xdotool key Escape
xdotool key r
sleep 3
check "closed while it recorded, it ends" close_viewer
check "and the recording plays" "$orrery" info "$folder/recording-1.mp4"
check "with nothing on stderr" test ! -s "$folder/errors"
first=$(tr -d ' \n' <"$XDG_CONFIG_HOME/orrery/viewer.json")

# A keyboard on which Z and Y change places: what is printed on the key counts.
setxkbmap de
folder=$work/keyboard
open_viewer "$folder" "$work/pendulum.mp4" -W 1280 -H 800
xdotool key z
sleep 1
check "on a German keyboard, the key with a Z zooms to whole pixels (german-z.png)" shot german-z
check "closed" close_viewer
setxkbmap us

# A screen with small pixels: twice the usual 96 dots an inch.
echo "Xft.dpi: 192" | xrdb -merge
folder=$work/fine
open_viewer "$folder" --engine
size=$(xdotool getwindowgeometry --shell "$window" | grep -E 'WIDTH|HEIGHT' | tr '\n' ' ')
check "the window of 1280x800 has 2560x1600 pixels at 192 dots an inch ($size)" test "$size" = "WIDTH=2560 HEIGHT=1600 "
check "and letters twice as large (scale-2.png)" shot scale-2
check "closed" close_viewer
second=$(tr -d ' \n' <"$XDG_CONFIG_HOME/orrery/viewer.json")
check "and the size that is kept is the same" \
  test "$(grep -o '"width":[0-9]*,"height":[0-9]*' <<<"$first")" = "$(grep -o '"width":[0-9]*,"height":[0-9]*' <<<"$second")"
exit $failed
