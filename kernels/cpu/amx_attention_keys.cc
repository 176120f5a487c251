#include "kernels/cpu/amx.h"
#include "kernels/cpu/amx_attention_plan.h"
#include "kernels/cpu/parallel.h"

namespace orrery {

namespace {

TileKeys prepare(const TensorView& keys, std::int64_t count, std::int64_t dim, std::int64_t batch, Arena& arena) {
  TileKeys result{count, dim};
  if (count == 0) return result;
  auto* panels = arena.take<std::uint32_t>(batch * result.words());
  auto* key_pairs = arena.take<std::uint32_t>(batch * result.words());
  result.panels = panels, result.key_pairs = key_pairs;
  const std::int64_t pairs = result.padded() / 2;
  parallel_blocks(batch * pairs, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t b = at / pairs, key = at % pairs * 2;
      const BFloat16* from = keys.as<const BFloat16>() + (b * count + key) * dim;
      const auto value = [&](std::int64_t k, std::int64_t i) {
        return key + k < count ? from[k * dim + i] : BFloat16{0};
      };
      std::uint32_t* to = key_pairs + b * result.words() + key / 2 * dim;
      for (std::int64_t i = 0; i < dim; ++i) to[i] = amx::pair_of(value(0, i), value(1, i));
      std::uint32_t* panel = panels + b * result.words() + key / kPanel * kPanel * (dim / 2) + key % kPanel;
      for (std::int64_t i = 0; i < dim / 2; ++i)
        for (std::int64_t k = 0; k < 2; ++k) panel[i * kPanel + k] = amx::pair_of(value(k, 2 * i), value(k, 2 * i + 1));
    }
  });
  return result;
}

}  // namespace

TileSources prepare_tile_sources(const AttentionPlan& plan, const TensorView& kv, const TensorView& entries,
                                 Arena& arena) {
  return {prepare(kv, plan.kv.count, plan.dim, plan.batch, arena),
          prepare(entries, plan.entries.count, plan.dim, plan.batch, arena)};
}

}  // namespace orrery
