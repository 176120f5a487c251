// What a decoding step does with a layer's projections before attention: a warp a head, a key, or a compressor's row.
#include <cmath>

#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/step_rows.cuh"

namespace orrery::gpu {

namespace {

struct Place {
  StepPlaceArgs args;

  ORRERY_ON_DEVICE Turn turn(std::int64_t t, int pair) const {
    const float* at = args.turns + 2 * (t * args.rope.pairs + pair);
    return {at[0], at[1]};
  }

  ORRERY_ON_DEVICE void query(std::int64_t t, std::int64_t head, int lane) const {
    const bool index = head >= args.heads;
    const std::int64_t dim = index ? args.index_dim : args.dim,
                       at = index ? args.heads * args.dim + (head - args.heads) * dim : head * dim;
    float* x = args.q + t * (args.heads * args.dim + args.index_heads * args.index_dim) + at;
    const float inverse = index ? 1.0f : row_inverse(x, dim, args.eps, lane);
    scale_and_turn(x, x, dim, args.rope.pairs, inverse, nullptr, lane, [&](int pair) { return turn(t, pair); });
  }

  ORRERY_ON_DEVICE void key(std::int64_t t, int lane) const {
    const StepToken& token = args.tokens[t];
    const float* x = args.in + t * args.in_stride + args.key_column;
    float* to = ring_row(token.cache, args.rows.window, args.cache.window_ring, token.position, args.dim);
    scale_and_turn(x, to, args.dim, args.rope.pairs, row_inverse(x, args.dim, args.eps, lane), args.key_norm, lane,
                   [&](int pair) { return turn(t, pair); });
  }

  // kv and gate, side by side, of the token `ago` before t: out of the step where it has it, else out of the ring.
  ORRERY_ON_DEVICE const float* raw_row(const StepCompressor& from, std::int64_t t, std::int32_t ago) const {
    const StepToken& token = args.tokens[t];
    if (ago <= t - token.first) return args.in + (t - ago) * args.in_stride + from.column;
    return ring_row(token.cache, from.rows.window, from.raw_ring, token.position - ago, 2 * from.channels);
  }

  // A channel of the entry that ends with token t: the mean of kv weighted by the softmax of the gates.
  ORRERY_ON_DEVICE float pooled(const StepCompressor& from, std::int64_t t, std::int64_t channel, bool prior) const {
    const auto rate = static_cast<std::int32_t>(from.rows.rate);
    const std::int64_t current = from.channels - from.dim;  // what the window gives to its own entry
    const auto visit = [&](const auto& use) {
      for (std::int32_t j = prior ? -rate : 0; j < rate; ++j) {
        const std::int64_t at = channel + (j < 0 ? 0 : current);
        const float* row = raw_row(from, t, rate - 1 - j);
        use(row[from.channels + at] + from.bias[(j < 0 ? j + rate : j) * from.channels + at], row[at]);
      }
    };
    float top = -INFINITY, total = 0, sum = 0;
    visit([&](float gate, float) { top = fmaxf(top, gate); });
    visit([&](float gate, float value) {
      const float share = expf(gate - top);
      total += share;
      sum += share * value;
    });
    return sum / total;
  }

  ORRERY_ON_DEVICE void compress(const StepCompressor& from, std::int64_t t, int lane, float* memory) const {
    const StepToken& token = args.tokens[t];
    const float* raw = args.in + t * args.in_stride + from.column;
    float* kept = ring_row(token.cache, from.rows.window, from.raw_ring, token.position, 2 * from.channels);
    for (std::int64_t i = lane; i < 2 * from.channels; i += kWarp) kept[i] = raw[i];
    const auto rate = static_cast<std::int32_t>(from.rows.rate);
    if ((token.position + 1) % rate != 0) return;
    const std::int32_t entry = token.position / rate;
    const bool prior = from.channels > from.dim && entry > 0;
    for (std::int64_t c = lane; c < from.dim; c += kWarp) memory[c] = pooled(from, t, c, prior);
    warp_sync();
    const float inverse = row_inverse(memory, from.dim, args.eps, lane);
    float* to = grown_rows(token, args.cache, from.rows) + entry * from.dim;
    const std::int32_t id = earlier_id(args.tokens, t, rate - 1, args.cache);
    scale_and_turn(memory, to, from.dim, args.rope.pairs, inverse, from.norm, lane,
                   [&](int pair) { return turn_of(args.rope, pair, entry * rate, id, args.frequencies[pair]); });
    warp_sync();
    round_key(to, from.dim, from.rounded, lane);
  }

  ORRERY_ON_DEVICE void operator()(std::int64_t row, int lane, unsigned char* memory) const {
    const std::int64_t queries = args.heads + args.index_heads, kinds = kinds_of(args), t = row / kinds,
                       kind = row % kinds - queries;
    if (kind < 0) return query(t, kind + queries, lane);
    if (kind == 0) return key(t, lane);
    compress(kind == 1 ? args.entries : args.keys, t, lane, reinterpret_cast<float*>(memory));
  }

  // Rows of work a token: the heads, the key, the compressors.
  static ORRERY_ANYWHERE std::int64_t kinds_of(const StepPlaceArgs& args) {
    return args.heads + args.index_heads + 1 + (args.entries.channels > 0 ? 1 : 0) + (args.keys.channels > 0 ? 1 : 0);
  }
};

void place(const StepPlaceArgs& args) {
  const std::int64_t longest = args.entries.dim > args.keys.dim ? args.entries.dim : args.keys.dim;
  launch_rows(StepPlaceArgs::kOp, args.count * Place::kinds_of(args),
              (longest * std::int64_t{sizeof(float)} + 15) / 16 * 16, Place{args});
}

}  // namespace

void add_step_place_kernels() { add_kernel<StepPlaceArgs>(Device::cuda, "warps", place); }

}  // namespace orrery::gpu
