// V3's latent attention when tokens are decoded: a warp a head, a row or a key.
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/step_rows.cuh"

namespace orrery::gpu {

namespace {

struct Latent {
  StepLatentArgs args;

  ORRERY_ON_DEVICE Turn turn(std::int64_t t, std::int64_t pair) const {
    const float* at = args.turns + 2 * (t * args.pairs + pair);
    return {at[0], at[1]};
  }

  ORRERY_ON_DEVICE void query(std::int64_t t, std::int64_t head, int lane) const {
    const std::int64_t rope = 2 * args.pairs;
    const float* x = args.q + t * args.q_stride + head * (args.nope + rope) + args.nope;
    float* to = args.absorbed + (t * args.heads + head) * (args.lora + rope) + args.lora;
    scale_and_turn(x, to, rope, static_cast<int>(args.pairs), 1.0f, nullptr, lane,
                   [&](int pair) { return turn(t, pair); });
  }

  // Of the first values, which lead, i turns with i + pairs; they go to the end as pairs. `memory` has a copy of x.
  ORRERY_ON_DEVICE void split_and_turn(const float* memory, float* to, std::int64_t t, int lane) const {
    const std::int64_t dim = args.index_dim, rope = 2 * args.pairs, still = dim - rope;
    for (std::int64_t i = lane; i < still; i += kWarp) to[i] = memory[rope + i];
    for (std::int64_t pair = lane; pair < args.pairs; pair += kWarp) {
      const Turn by = turn(t, pair);
      const float a = memory[pair], b = memory[args.pairs + pair];
      to[still + 2 * pair] = a * by.cos - b * by.sin;
      to[still + 2 * pair + 1] = a * by.sin + b * by.cos;
    }
  }

  ORRERY_ON_DEVICE void index_query(std::int64_t t, std::int64_t head, int lane, float* memory) const {
    float* x = args.q + t * args.q_stride + args.heads * (args.nope + 2 * args.pairs) + head * args.index_dim;
    for (std::int64_t i = lane; i < args.index_dim; i += kWarp) memory[i] = x[i];
    warp_sync();
    split_and_turn(memory, x, t, lane);
  }

  ORRERY_ON_DEVICE void row(std::int64_t t, int lane) const {
    const StepToken& token = args.tokens[t];
    const float* x = args.in + t * args.in_stride + args.row_column;
    float* to = grown_rows(token, args.cache, args.rows) + token.position * (args.lora + 2 * args.pairs);
    const float inverse = row_inverse(x, args.lora, args.eps, lane);
    for (std::int64_t i = lane; i < args.lora; i += kWarp) to[i] = x[i] * (inverse * args.row_norm[i]);
    scale_and_turn(x + args.lora, to + args.lora, 2 * args.pairs, static_cast<int>(args.pairs), 1.0f, nullptr, lane,
                   [&](int pair) { return turn(t, pair); });
  }

  ORRERY_ON_DEVICE void key(std::int64_t t, int lane, float* memory) const {
    constexpr double kEps = 1e-6;
    const StepToken& token = args.tokens[t];
    const float* x = args.in + t * args.in_stride + args.key_column;
    const auto dim = static_cast<double>(args.index_dim);
    double mean = 0, squares = 0;
    for (std::int64_t i = lane; i < args.index_dim; i += kWarp) mean += static_cast<double>(x[i]) / dim;
    mean = warp_sum(mean);
    for (std::int64_t i = lane; i < args.index_dim; i += kWarp)
      squares += (static_cast<double>(x[i]) - mean) * (static_cast<double>(x[i]) - mean);
    const double inverse = 1 / sqrt(warp_sum(squares) / dim + kEps);
    for (std::int64_t i = lane; i < args.index_dim; i += kWarp)
      memory[i] =
          static_cast<float>((static_cast<double>(x[i]) - mean) * inverse) * args.index_norm[i] + args.index_bias[i];
    warp_sync();
    float* to = grown_rows(token, args.cache, args.keys) + token.position * args.index_dim;
    split_and_turn(memory, to, t, lane);
    warp_sync();
    round_key(to, args.index_dim, args.rounded, lane);
  }

  ORRERY_ON_DEVICE void operator()(std::int64_t at, int lane, unsigned char* memory) const {
    const std::int64_t kinds = kinds_of(args), t = at / kinds, kind = at % kinds;
    auto* own = reinterpret_cast<float*>(memory);
    if (kind < args.heads) return query(t, kind, lane);
    if (kind == args.heads) return row(t, lane);
    if (kind == args.heads + 1) return key(t, lane, own);
    index_query(t, kind - args.heads - 2, lane, own);
  }

  static ORRERY_ANYWHERE std::int64_t kinds_of(const StepLatentArgs& args) {
    return args.heads + 1 + (args.index_heads > 0 ? 1 + args.index_heads : 0);
  }
};

void latent(const StepLatentArgs& args) {
  launch_rows(StepLatentArgs::kOp, args.count * Latent::kinds_of(args),
              (args.index_dim * std::int64_t{sizeof(float)} + 15) / 16 * 16, Latent{args});
}

}  // namespace

void add_step_latent_kernels() { add_kernel<StepLatentArgs>(Device::cuda, "warps", latent); }

}  // namespace orrery::gpu
