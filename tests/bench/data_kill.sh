#!/usr/bin/env bash
# tests/bench/data_kill.sh ORRERY [COUNT [OPTIONS...]]: a data set made in one go, and the same one killed half way with
# SIGKILL and resumed: the same bytes.
set -euo pipefail
orrery=$1 count=${2:-10000}
shift $(($# < 2 ? $# : 2))
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
make() { "$orrery" data make --count "$count" -o "$1" -q "${@:2}"; }
hashes() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }
start=$SECONDS
make "$dir/whole" "$@"
echo "in one go: $count clips in $((SECONDS - start)) s"
make "$dir/killed" "$@" >/dev/null &
pid=$!
while [[ $(find "$dir/killed" -name '*.json' 2>/dev/null | wc -l) -lt $((count / 2)) ]]; do sleep 0.2; done
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
echo "killed with $(find "$dir/killed" -name '0*.json' | wc -l) clips done"
make "$dir/killed" "$@"
cmp <(hashes "$dir/whole") <(hashes "$dir/killed") && echo "the same bytes: $(hashes "$dir/whole" | wc -l) files"
