#!/usr/bin/env bash
# tests/cluster/ranks_test.sh ORRERY: two ranks of a real MPI train a codec and a transformer together; losses and weights are
# bit for bit those of one process, also when the ranks are stopped and go on. A rank that is killed ends the run with one
# line, and the checkpoint is whole.
set -euo pipefail
orrery=$(realpath "$1")
if ! command -v mpirun >/dev/null || [[ $(ldd "$orrery") != *libmpi* ]]; then
  echo "ranks_test: skipped, no mpirun or a build without MPI"
  exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
cat >codec.toml <<'TOML'
[codec]
width = 16
fine_width = 16
encoder_blocks = 1
decoder_blocks = 1
fine_blocks = 1
levels = [4, 4]
[data]
scenes = ["bounce"]
windows = 2
latents = 2
size = 32
[train]
steps = 6
accumulate = 2
log_every = 1
validate_every = 0
compute = "f32"
TOML
cat >model.toml <<'TOML'
codec_folder = "codec-1"
text_tokens = 300
[model]
num_hidden_layers = 2
layer_types = ["sliding_attention", "heavily_compressed_attention"]
mlp_layer_types = ["hash_moe", "moe"]
hidden_size = 32
moe_intermediate_size = 16
num_attention_heads = 2
head_dim = 16
qk_rope_head_dim = 8
q_lora_rank = 16
o_groups = 1
o_lora_rank = 16
sliding_window = 40
n_routed_experts = 4
num_experts_per_tok = 2
hc_mult = 2
hc_sinkhorn_iters = 3
num_nextn_predict_layers = 0
compress_rates = { compressed_sparse_attention = 4, heavily_compressed_attention = 20 }
[data]
scenes = ["bounce"]
sequences = 2
latents = 4
size = 32
[train]
steps = 6
accumulate = 2
log_every = 1
validate_every = 0
compute = "f32"
TOML
ranks() { mpirun --oversubscribe --bind-to none -n 2 "$orrery" --threads 1 -q "$@"; }
losses() { sed 's/"seconds":[^,]*,"waited":[^,]*,//' "$1/log.jsonl"; }
same() {
  diff <(losses "$1") <(losses "$2") >/dev/null || { echo "ranks_test: FAILED, the losses of $1 and $2 differ" >&2; exit 1; }
  cmp "$1/$3.safetensors" "$2/$3.safetensors" || { echo "ranks_test: FAILED, the weights of $1 and $2 differ" >&2; exit 1; }
  echo "ranks_test: $1 and $2: same losses and weights"
}
for kind in codec model; do
  "$orrery" --threads 1 -q train $kind $kind.toml -o $kind-1
  ranks train $kind $kind.toml -o $kind-2
  sed 's/^steps = 6/steps = 3/' $kind.toml >$kind-half.toml
  ranks train $kind $kind-half.toml -o $kind-resumed
  ranks train $kind $kind.toml -o $kind-resumed
  same $kind-1 $kind-2 $kind
  # The schedule of the first half knows of three steps only: weights differ, so only that it goes on is looked at.
  [[ $(tail -n 1 $kind-resumed/log.jsonl) == *'"step":6,'* ]] || { echo "ranks_test: FAILED, no resume" >&2; exit 1; }
done
sed 's/^accumulate = 2/accumulate = 3/' codec.toml >odd.toml
if ranks train codec odd.toml -o odd 2>odd.err; then echo "ranks_test: FAILED, 3 batches on 2 ranks" >&2; exit 1; fi
grep -q "train.accumulate is 3" odd.err || { cat odd.err >&2; exit 1; }

sed 's/^steps = 6/steps = 100000/; s/^log_every = 1/log_every = 1\ncheckpoint_seconds = 1/' codec.toml >long.toml
ranks train codec long.toml -o long >long.log 2>&1 &
mpi=$!
for ((i = 0; i < 600; i++)); do [[ -f long/state/state.safetensors ]] && break; sleep 0.1; done
for pid in $(pgrep -f "train codec long.toml" || true); do
  if tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx "OMPI_COMM_WORLD_RANK=1"; then kill -9 "$pid"; fi
done
if wait $mpi; then echo "ranks_test: FAILED, a killed rank passed" >&2; exit 1; fi
"$orrery" --threads 1 -q train codec long.toml -o long --max-seconds 2
echo "ranks_test: a rank was killed; the run ended and goes on from its checkpoint"
