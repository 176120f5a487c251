// Step-by-step generation: caches, blocks that can be taken back, and the multi-token-prediction block's drafts.
#include "core/generate/decoder.h"

#include <algorithm>

#include "core/generate/decode_math.h"
#include "core/generate/device_decoder.h"
#include "core/generate/packed.h"

namespace orrery {

namespace {

// The mtp block's part of an append: states and the tokens behind them, as many as a later window can see.
void remember(MtpCache& mtp, const float* row, std::span<const std::int32_t> ids, std::int64_t width,
              std::int64_t window) {
  for (const std::int32_t id : ids) {
    // The first row kept may follow one that has been run: then its token has been seen.
    if (mtp.next.size() * static_cast<std::size_t>(width) < mtp.states.size()) mtp.next.push_back(id);
    mtp.states.insert(mtp.states.end(), row, row + width);
    mtp.own.push_back(id);
    row += width;
  }
  const std::int64_t rows = static_cast<std::int64_t>(mtp.states.size()) / width, extra = rows - window;
  if (rows < 2 * window) return;
  mtp.states.erase(mtp.states.begin(), mtp.states.begin() + extra * width);
  mtp.own.erase(mtp.own.begin(), mtp.own.begin() + extra);
  mtp.next.erase(mtp.next.begin(), mtp.next.begin() + extra);
  mtp.done += extra;
  mtp.layer.window.clear();  // older than any that is still seen
  mtp.chained = 0;
}

// The positions run on drafts, as far as the window still holds them.
void drop_chain(MtpCache& mtp, std::int64_t dim) {
  const auto rows = static_cast<std::size_t>(mtp.chained * dim);
  mtp.layer.window.resize(mtp.layer.window.size() - std::min(mtp.layer.window.size(), rows));
  mtp.chained = 0;
}

}  // namespace

void Decoder::Packed::add_row(const Tensor& table, std::int64_t at, Floats& row) {
  const auto d = static_cast<std::int64_t>(row.size());
  const Floats other = table.alias({d}, {1}, at * d).to_vector();
  for (std::size_t i = 0; i < row.size(); ++i) row[i] += other[i];
}

void Decoder::Packed::add_embedding(const decode::PackedTable& from, std::int32_t id, Floats& row) const {
  add_row(from.table, config.table_row(id), row);
  std::int64_t column = 0;
  for (std::size_t digit = 0; const std::int64_t level : extra_digits(id, config)) {
    const float* own = from.extra.data() + (column + level) * static_cast<std::int64_t>(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) row[i] += own[i];
    column += config.video.extra_levels[digit++];
  }
}

// The tokens' rows of the embedding, repeated for each of mHC's streams.
Floats Decoder::Packed::embedded(const Chunk& chunk) const {
  const std::int64_t n = streams(), d = config.hidden_size;
  const std::int64_t group = config.video.group();
  Floats state(static_cast<std::size_t>(chunk.tokens() * n * d));
  for (const Segment& segment : chunk.segments)
    for (std::int64_t t = segment.begin; t < segment.end; ++t) {
      const std::int32_t id = chunk.ids[static_cast<std::size_t>(t)];
      Floats row(static_cast<std::size_t>(d));
      add_embedding(embed, id, row);
      if (places.defined()) add_row(places, segment.position(t) % group, row);
      if (recall.table.defined()) add_embedding(recall, segment.caches->recall(id, group), row);
      for (std::int64_t k = 0; k < n; ++k) std::copy(row.begin(), row.end(), state.begin() + (t * n + k) * d);
    }
  return state;
}

Floats Decoder::Packed::run(const Chunk& chunk) const {
  const std::int64_t width = streams() * config.hidden_size;
  Floats state = embedded(chunk);
  for (std::size_t i = 0; i < layers.size(); ++i) layer({layers[i], i}, state, chunk);
  for (const Segment& segment : chunk.segments) {
    if (segment.caches->mtp)
      remember(*segment.caches->mtp, state.data() + segment.begin * width, chunk.ids_of(segment), width,
               config.sliding_window);
    segment.caches->length += segment.end - segment.begin;
  }
  return final_hidden(hc_head, norm, state, chunk.tokens());
}

void Decoder::Packed::run_mtp(DecodeState::Caches& caches, Floats& state, std::int64_t first,
                              std::span<const std::int32_t> next, std::span<const std::int32_t> own) const {
  const auto tokens = static_cast<std::int64_t>(next.size());
  const std::int64_t n = config.hc_mult, d = config.hidden_size;
  Floats e(static_cast<std::size_t>(tokens * d));
  for (std::int64_t t = 0; t < tokens; ++t) {
    Floats row(static_cast<std::size_t>(d));
    add_embedding(embed, next[static_cast<std::size_t>(t)], row);
    std::copy(row.begin(), row.end(), e.begin() + t * d);
  }
  rms_norm_rows(e.data(), tokens, d, mtp->e_norm.data(), config.rms_norm_eps);
  e = product(e, mtp->e_proj, tokens);
  rms_norm_rows(state.data(), tokens * n, d, mtp->h_norm.data(), config.rms_norm_eps);
  state = product(state, mtp->h_proj, tokens * n);
  for (std::int64_t r = 0; r < tokens * n; ++r)
    for (std::int64_t i = 0; i < d; ++i)
      state[static_cast<std::size_t>(r * d + i)] += e[static_cast<std::size_t>(r / n * d + i)];
  Chunk chunk;
  chunk.ids.assign(next.begin(), next.end());
  chunk.segments.push_back({&caches, 0, tokens, first});
  add_turns(chunk, own);
  layer({mtp->layer, kMtp}, state, chunk);
}

DecodeState::DecodeState() : caches_(std::make_unique<Caches>()) {}
DecodeState::~DecodeState() = default;
DecodeState::DecodeState(const DecodeState& other) : caches_(std::make_unique<Caches>(*other.caches_)) {}
DecodeState& DecodeState::operator=(const DecodeState& other) {
  caches_ = std::make_unique<Caches>(*other.caches_);
  return *this;
}
DecodeState::DecodeState(DecodeState&&) noexcept = default;
DecodeState& DecodeState::operator=(DecodeState&&) noexcept = default;
std::int64_t DecodeState::length() const { return caches_->length; }
CacheBytes DecodeState::memory() const { return caches_->memory(); }
void DecodeState::measure() { caches_->times.emplace(); }
DecodeTimes DecodeState::times() const {
  ORRERY_ASSERT(caches_->times.has_value(), "[decoder] times of a state that does not measure");
  return *caches_->times;
}

Decoder::Decoder(const Transformer& model, DType weights) : packed_(std::make_unique<Packed>(model, weights)) {}
Decoder::Decoder(const Transformer& model, DType weights, Device device, const DeviceLimits& limits)
    : Decoder(model, weights) {
  if (device != Device::cpu) device_ = std::make_unique<decode::DeviceDecoder>(*packed_, device, limits);
}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
std::int64_t Decoder::row_size() const { return packed_->codes.row_size(); }
const CodeDraw& Decoder::codes() const { return packed_->codes; }
const ModelConfig& Decoder::config() const { return packed_->config; }
Decoder::WeightBytes Decoder::weight_bytes() const { return packed_->weight_bytes(); }

DecodeState Decoder::start(bool drafting) const {
  ORRERY_CHECK(!drafting || packed_->mtp, "[decoder] drafting needs a model with num_nextn_predict_layers = 1");
  ORRERY_CHECK(!drafting || !device_, "[decoder] drafting works on the CPU only");
  DecodeState state;
  if (device_) return state;
  state.caches_->layers.resize(packed_->layers.size());
  if (drafting) state.caches_->mtp.emplace();
  return state;
}

void Decoder::Packed::check(std::span<const DecodeStep> steps, std::int64_t more) const {
  for (const DecodeStep& step : steps) {
    ORRERY_CHECK(!step.ids.empty(), "[decoder] no tokens to append");
    for (const std::int32_t id : step.ids)
      ORRERY_CHECK(id >= 0 && id < config.ids(), "[decoder] token id ", id, ", expected 0 to ", config.ids() - 1);
    const std::int64_t length = step.state->length() + static_cast<std::int64_t>(step.ids.size()) + more;
    ORRERY_CHECK(length <= config.max_position_embeddings, "[decoder] a context of ", length,
                 " tokens, expected at most max_position_embeddings = ", config.max_position_embeddings);
  }
}

Decoder::Packed::Chunk Decoder::Packed::chunk_of(std::span<const DecodeStep> steps) const {
  check(steps);
  Chunk chunk;
  for (const DecodeStep& step : steps) {
    const std::int64_t begin = chunk.tokens();
    chunk.ids.insert(chunk.ids.end(), step.ids.begin(), step.ids.end());
    DecodeState::Caches& caches = *step.state->caches_;
    chunk.segments.push_back({&caches, begin, chunk.tokens(), caches.length});
  }
  add_turns(chunk, chunk.ids);
  return chunk;
}

void Decoder::Packed::add_turns(Chunk& chunk, std::span<const std::int32_t> ids) const {
  for (const Segment& segment : chunk.segments)
    for (std::int64_t t = segment.begin; t < segment.end; ++t) {
      const std::int32_t id = ids[static_cast<std::size_t>(t)];
      append_turns(chunk.main_turns, axes, main_frequencies, segment.position(t), id);
      append_turns(chunk.compress_turns, axes, compress_frequencies, segment.position(t), id);
    }
}

std::vector<float> Decoder::append(DecodeState& state, std::span<const std::int32_t> ids) const {
  const DecodeStep step{&state, ids};
  return append_each(std::span(&step, 1));
}

std::vector<float> Decoder::append_each(std::span<const DecodeStep> steps) const {
  if (device_) {
    packed_->check(steps);
    return device_->append(steps, decode::DeviceDecoder::Rows::last);
  }
  const Packed::Chunk chunk = packed_->chunk_of(steps);
  for (const Packed::Segment& segment : chunk.segments) segment.caches->forget_block();
  const Floats hidden = packed_->run(chunk);
  const std::int64_t d = config().hidden_size;
  Floats last;
  for (const Packed::Segment& segment : chunk.segments)
    last.insert(last.end(), hidden.begin() + (segment.end - 1) * d, hidden.begin() + segment.end * d);
  return product(last, packed_->head, static_cast<std::int64_t>(steps.size()));
}

std::vector<float> Decoder::append_all(DecodeState& state, std::span<const std::int32_t> ids) const {
  const DecodeStep step{&state, ids};
  if (device_) {
    packed_->check(std::span(&step, 1));
    return device_->append(std::span(&step, 1), decode::DeviceDecoder::Rows::all);
  }
  const Packed::Chunk chunk = packed_->chunk_of(std::span(&step, 1));
  state.caches_->forget_block();
  return product(packed_->run(chunk), packed_->head, chunk.tokens());
}

bool Decoder::draws_codes() const { return device_ && config().video.codes > 0 && device_->draws_codes(); }

std::vector<std::vector<std::int32_t>> Decoder::draw_codes(std::span<const CodeRun> runs, std::int64_t count) const {
  ORRERY_ASSERT(draws_codes() && count > 0, "[decoder] ", count, " codes drawn where that does not work");
  std::vector<DecodeStep> steps;
  for (const CodeRun& run : runs) {
    steps.push_back(run.step);
    if (run.without.state != nullptr) steps.push_back(run.without);
  }
  packed_->check(steps, count - 1);
  return device_->draw_codes(runs, count);
}

DecodeTrace Decoder::trace(DecodeState& state, std::span<const std::int32_t> ids) const {
  ORRERY_CHECK(!device_, "[decoder] traces are made on the CPU only");
  const DecodeStep step{&state, ids};
  Packed::Chunk chunk = packed_->chunk_of(std::span(&step, 1));
  state.caches_->forget_block();
  DecodeTrace trace(packed_->layers.size(), std::vector<TokenTrace>(ids.size()));
  chunk.trace = &trace;
  packed_->run(chunk);
  return trace;
}

std::vector<float> Decoder::append_block(DecodeState& state, std::span<const std::int32_t> ids) const {
  ORRERY_CHECK(!device_, "[decoder] blocks that can be taken back work on the CPU only");
  const DecodeStep step{&state, ids};
  const Packed::Chunk chunk = packed_->chunk_of(std::span(&step, 1));
  state.caches_->begin_block(ids);
  return product(packed_->run(chunk), packed_->head, chunk.tokens());
}

void Decoder::Packed::take_back(const decode::PackedCompressor& compressor, CompressorCache& cache,
                                std::span<const std::int32_t> kept, std::int64_t rate, bool overlap) const {
  if (!compressor.kv.defined()) return;
  const CompressorCache::Journal block = std::move(*cache.journal);
  cache.journal.reset();
  const std::int64_t dim = overlap ? compressor.channels / 2 : compressor.channels;
  cache.keys.resize(compressor.index ? block.count : 0);
  cache.entries.resize(static_cast<std::size_t>(compressor.index ? 0 : block.count * dim));
  cache.count = block.count, cache.open_id = block.open_id;
  cache.open_kv = block.open_kv, cache.open_gate = block.open_gate;
  cache.prior_kv = block.prior_kv, cache.prior_gate = block.prior_gate;
  compress(compressor, cache, {block.kv.data(), block.gate.data(), kept}, rate, overlap);
}

void Decoder::keep(DecodeState& state, std::int64_t count) const {
  DecodeState::Caches& caches = *state.caches_;
  const ModelConfig& c = packed_->config;
  const auto size = static_cast<std::int64_t>(caches.block.size());
  ORRERY_ASSERT(count >= 0 && count <= size, "[decoder] keeps ", count, " of a block of ", size);
  const auto dropped = static_cast<std::size_t>(size - count);
  const std::span kept = std::span<const std::int32_t>(caches.block).first(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < caches.layers.size() && dropped > 0; ++i) {
    const decode::PackedLayer& layer = packed_->layers[i];
    LayerCache& cache = caches.layers[i];
    if (layer.latent) {
      cache.take_back_latents(dropped, static_cast<std::size_t>(c.kv_lora_rank + c.qk_rope_head_dim));
      continue;
    }
    cache.window.resize(cache.window.size() - dropped * static_cast<std::size_t>(c.head_dim));
    const std::int64_t rate = c.compress_rate(layer.kind);
    packed_->take_back(layer.compressor, cache.compressor, kept, rate, layer.kind == AttentionKind::csa);
    packed_->take_back(layer.index_compressor, cache.indexer, kept, rate, true);
  }
  if (dropped > 0 && packed_->recall.table.defined()) {
    caches.recent_ids = caches.recent_before;
    for (const std::int32_t id : kept) caches.recall(id, c.video.group());
  }
  if (caches.mtp) caches.mtp->take_back(dropped, static_cast<std::size_t>(c.hc_mult * c.hidden_size));
  caches.length -= static_cast<std::int64_t>(dropped);
  caches.forget_block();
}

std::vector<float> Decoder::draft(DecodeState& state, std::int32_t id, std::int64_t ahead) const {
  DecodeState::Caches& caches = *state.caches_;
  ORRERY_ASSERT(caches.mtp && caches.length > 0,
                "[decoder] a draft needs a state that was started for it, with tokens");
  MtpCache& mtp = *caches.mtp;
  const std::int64_t width = packed_->config.hc_mult * packed_->config.hidden_size;
  Floats rows;
  if (ahead == 0) {
    ORRERY_ASSERT(!mtp.states.empty(), "[decoder] a second first draft at position ", caches.length);
    drop_chain(mtp, packed_->config.head_dim);
    rows = std::move(mtp.states);
    std::vector<std::int32_t> next = std::move(mtp.next);
    const std::vector<std::int32_t> own = std::move(mtp.own);
    next.push_back(id);
    mtp.states.clear(), mtp.next.clear(), mtp.own.clear();
    packed_->run_mtp(caches, rows, mtp.done, next, own);
    mtp.done += static_cast<std::int64_t>(next.size());
  } else {
    ORRERY_ASSERT(ahead == mtp.chained + 1, "[decoder] draft ", ahead, " after ", mtp.chained);
    rows = std::move(mtp.chain);
    packed_->run_mtp(caches, rows, mtp.done + mtp.chained, std::span(&id, 1), std::span(&mtp.chain_id, 1));
    ++mtp.chained;
  }
  mtp.chain.assign(rows.end() - width, rows.end());
  mtp.chain_id = id;
  return product(packed_->final_hidden(packed_->mtp->hc_head, packed_->mtp->norm, mtp.chain, 1), packed_->head, 1);
}

}  // namespace orrery
