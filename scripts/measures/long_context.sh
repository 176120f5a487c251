#!/usr/bin/env bash
# time and memory of a token at 16K to 1M tokens of context (ten minutes and more, alone on the machine)
set -euo pipefail
./run bench decode --config tests/bench/long_context.json --weights int8 --tokens 64 --contexts 16384 65536 262144 1048576
