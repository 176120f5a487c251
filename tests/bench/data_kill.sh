#!/usr/bin/env bash
# tests/bench/data_kill.sh ORRERY [COUNT [OPTIONS...]]: a data set of 2 s clips made in one go, and the same one killed half way
# with SIGKILL and resumed: the same bytes.
set -euo pipefail
orrery=$1 count=${2:-10000}
shift $(($# < 2 ? $# : 2))
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
command=("$orrery" data make --count "$count" --seconds 2 -q "$@")
hashes() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }
clips() { find "$1" -name '0*.json' 2>/dev/null | wc -l; }
TIMEFORMAT='in one go: %R s by the clock, %U + %S s of processor'
time "${command[@]}" -o "$dir/whole"
# The program itself in the background, not a shell around it: the signal is for the program.
"${command[@]}" -o "$dir/killed" >/dev/null &
pid=$!
while [[ $(clips "$dir/killed") -lt $((count / 2)) ]] && kill -0 "$pid" 2>/dev/null; do sleep 1; done
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
sleep 1
before=$(clips "$dir/killed")
sleep 1
echo "killed with $before clips done; a second later $(clips "$dir/killed")"
[[ $before -lt $count ]] || { echo "data_kill: it was done before it was killed" >&2; exit 1; }
"${command[@]}" -o "$dir/killed"
cmp <(hashes "$dir/whole") <(hashes "$dir/killed")
echo "the same bytes: $(hashes "$dir/whole" | wc -l) files of $count clips"
