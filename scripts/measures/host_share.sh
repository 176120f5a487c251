#!/usr/bin/env bash
# what the host does of a training step on a card, the card's work left out: needs no card
set -euo pipefail
ninja -C build host_share >&2
echo "what,tokens,by,host ms"
for config in models/orrery-64-long/config.json models/orrery-64/config.json; do
  OMP_NUM_THREADS=1 build/tests/support/cuda_on_host/host_share cuda $config 8 4092 "$config, 8 x 4092 tokens" 2>/dev/null | cut -d, -f1-4
done
