// A decoding step's begin: a block a token.
#include "kernels/api/registry.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/step_cache.cuh"
#include "kernels/cuda/values.cuh"

namespace orrery::gpu {

namespace {

constexpr int kThreads = 128;

// What one id adds to a state's channel: its row, and its extra digits' vectors.
struct IdVectors {
  Values table;
  const float* extra;
  StepIds ids;
  std::int64_t width;

  ORRERY_ON_DEVICE float add(float sum, std::int32_t id, std::int64_t channel) const {
    const std::int32_t code = id - ids.first_code;
    const std::int32_t row = code < 0 ? id : ids.first_code + code % ids.table_codes;
    sum += table.load<float>(row * width + channel);
    if (code < 0) return sum;
    std::int32_t rest = code / ids.table_codes, column = 0;
    for (int digit = 0; digit < ids.digits; ++digit) {
      sum += extra[(column + rest % ids.levels[digit]) * width + channel];
      rest /= ids.levels[digit];
      column += ids.levels[digit];
    }
    return sum;
  }
};

struct Begin {
  const StepToken* tokens;
  IdVectors embed, recall;
  Values places;
  std::int64_t streams;
  std::int32_t group;
  StepCache cache;
  StepRope rope;
  const float *main_frequencies, *compress_frequencies;
  float *state, *main_turns, *compress_turns;

  ORRERY_ON_DEVICE std::int32_t recalled(std::int64_t t) const {
    const StepToken& token = tokens[t];
    if (token.position + 1 >= group) return earlier_id(tokens, t, group - 1, cache);
    const std::int64_t in_step = t - token.first;
    return token.position == in_step ? tokens[token.first].id : *reinterpret_cast<const std::int32_t*>(token.cache);
  }

  ORRERY_ON_DEVICE void operator()(const Block& block) const {
    const std::int64_t t = block.index, width = embed.width;
    const StepToken& token = tokens[t];
    const std::int32_t recalled_id = recall.table.data != nullptr ? recalled(t) : 0;
    for (std::int64_t channel = block.thread; channel < width; channel += block.threads) {
      float sum = embed.add(0.0f, token.id, channel);
      if (places.data != nullptr) sum += places.load<float>(token.position % group * width + channel);
      if (recall.table.data != nullptr) sum = recall.add(sum, recalled_id, channel);
      for (std::int64_t k = 0; k < streams; ++k) state[(t * streams + k) * width + channel] = sum;
    }
    for (int pair = block.thread; pair < rope.pairs; pair += block.threads) {
      const Turn main = turn_of(rope, pair, token.position, token.id, main_frequencies[pair]);
      const Turn compress = turn_of(rope, pair, token.position, token.id, compress_frequencies[pair]);
      const std::int64_t at = 2 * (t * rope.pairs + pair);
      main_turns[at] = main.cos, main_turns[at + 1] = main.sin;
      compress_turns[at] = compress.cos, compress_turns[at + 1] = compress.sin;
    }
    if (block.thread != 0) return;
    auto* ids = reinterpret_cast<std::int32_t*>(token.cache);
    ids[1 + token.position % static_cast<std::int32_t>(cache.id_ring)] = token.id;
    if (token.position == 0) ids[0] = token.id;
  }
};

struct TableRow {
  const StepToken* tokens;
  StepIds ids;
  const std::int32_t* table;
  std::int32_t* out;
  std::int64_t width;
  ORRERY_ON_DEVICE void operator()(std::int64_t i) const {
    const auto [t, column] = divided(i, width);
    const std::int32_t id = tokens[t].id, code = id - ids.first_code;
    const std::int32_t row = code < 0 ? id : ids.first_code + code % ids.table_codes;
    out[i] = table[row * width + column];
  }
};

void begin(const StepBeginArgs& args) {
  launch_blocks(StepBeginArgs::kOp, args.count, kThreads, 0,
                Begin{args.tokens,
                      {values_of(args.embed), args.embed_extra, args.ids, args.width},
                      {values_of(args.recall), args.recall_extra, args.ids, args.width},
                      values_of(args.places),
                      args.streams,
                      args.group,
                      args.cache,
                      args.rope,
                      args.main_frequencies,
                      args.compress_frequencies,
                      args.state,
                      args.main_turns,
                      args.compress_turns});
}

void table(const StepTableArgs& args) {
  launch_each(StepTableArgs::kOp, args.count * args.width,
              TableRow{args.tokens, args.ids, args.table, args.out, args.width});
}

}  // namespace

void add_step_begin_kernels() {
  add_kernel<StepBeginArgs>(Device::cuda, "blocks", begin);
  add_kernel<StepTableArgs>(Device::cuda, "elements", table);
}

}  // namespace orrery::gpu
