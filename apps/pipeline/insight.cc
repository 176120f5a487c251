#include "apps/pipeline/insight.h"

#include <algorithm>
#include <numeric>

#include "apps/pipeline/rollout.h"
#include "core/base/error.h"

namespace orrery::pipeline {

namespace {

std::string name_layer(const ModelConfig& config, std::size_t layer) {
  const AttentionKind kind = config.layer_types[layer];
  const MlpKind mlp = config.mlp_layer_types[layer];
  const char* sees = kind == AttentionKind::sliding ? "window"
                     : kind == AttentionKind::csa   ? "window, chosen squares"
                                                    : "window, whole frames";
  return std::string(sees) + "; experts by " + (mlp == MlpKind::hash_moe ? "token" : "score");
}

}  // namespace

float Look::frame(std::size_t back) const {
  return back < frames.size() ? std::accumulate(frames[back].begin(), frames[back].end(), 0.0f) : 0.0f;
}

std::vector<float> Look::cells() const {
  std::vector<float> sum(frames.empty() ? 0 : frames[0].size());
  for (const std::vector<float>& frame : frames)
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += frame[i];
  return sum;
}

std::vector<int> Insight::first_experts(std::size_t layer) const {
  std::vector<int> found;
  for (const std::int64_t place : place_) {
    const TokenTrace& token = trace_[layer][static_cast<std::size_t>(place)];
    const auto most = std::max_element(token.expert_weights.begin(), token.expert_weights.end());
    found.push_back(token.experts[static_cast<std::size_t>(most - token.expert_weights.begin())]);
  }
  return found;
}

std::vector<float> Insight::load(std::size_t layer) const {
  std::vector<float> shares(static_cast<std::size_t>(experts_));
  for (const TokenTrace& token : trace_[layer])
    for (const std::int32_t expert : token.experts)
      shares[static_cast<std::size_t>(expert)] += 1.0f / static_cast<float>(trace_[layer].size());
  return shares;
}

void Insight::add_look(const TokenTrace& token, float weight, Look& look) const {
  float sum = 0;
  for (const TokenTrace::Share& share : token.attended) {
    sum += share.weight;
    // An entry's share is spread over the tokens that it stands for.
    const float each = weight * share.weight / static_cast<float>(share.count);
    for (std::int64_t at = share.first; at < share.first + share.count; ++at) {
      const std::int64_t within = at - prompt_, place = within % group_ - VideoVocabulary::kHeader;
      if (within < 0) {
        look.words += each;
      } else if (place < 0) {
        look.marks += each;
      } else {
        const std::int64_t back = (begin_ - prompt_) / group_ - within / group_;
        look.frames[static_cast<std::size_t>(back)][static_cast<std::size_t>(cell_[static_cast<std::size_t>(place)])] +=
            each;
      }
    }
  }
  look.nothing += weight * (1 - sum);
}

Look Insight::look(std::int64_t cell, int layer) const {
  Look look;
  look.frames.assign(earlier_ + 1, std::vector<float>(place_.size()));
  // A code is drawn from what the token before it saw.
  const auto token = static_cast<std::size_t>(place_[static_cast<std::size_t>(cell)] - 1);
  for (std::size_t i = 0; i < layers(); ++i)
    if (layer < 0 || static_cast<std::size_t>(layer) == i)
      add_look(trace_[i][token], layer < 0 ? 1.0f / static_cast<float>(layers()) : 1.0f, look);
  return look;
}

Insight Inspector::inspect(const std::string& prompt, std::span<const LatentFrame> frames) {
  ORRERY_CHECK(!frames.empty(), "[insight] no frames to look at");
  const SequenceLayout& layout = model_->layout();
  std::vector<std::int32_t> text;
  if (!prompt.empty()) text = model_->encode_prompt(prompt);
  std::vector<std::int32_t> ids = layout.prompt(text);
  Insight found;
  found.prompt_ = static_cast<std::int64_t>(ids.size());
  found.earlier_ =
      static_cast<std::size_t>(context_latents(*model_, found.prompt_, static_cast<std::int64_t>(frames.size()) - 1));
  for (const LatentFrame& frame : frames.last(found.earlier_ + 1)) {
    const std::vector<std::int32_t> group = layout.group_tokens(frame.action, frame.codes);
    ids.insert(ids.end(), group.begin(), group.end());
  }
  found.group_ = layout.group();
  found.begin_ = static_cast<std::int64_t>(ids.size()) - found.group_;
  // What stands before the frame is fed, if it is not yet, and kept for the next one.
  const std::span<const std::int32_t> before = std::span(ids).first(static_cast<std::size_t>(found.begin_));
  if (fed_.size() > before.size() || !std::equal(fed_.begin(), fed_.end(), before.begin())) {
    state_ = model_->decoder().start();
    fed_.clear();
  }
  if (before.size() > fed_.size()) model_->decoder().append(state_, before.subspan(fed_.size()));
  fed_.assign(before.begin(), before.end());
  DecodeState here = state_;
  found.trace_ = model_->decoder().trace(here, std::span(ids).last(static_cast<std::size_t>(found.group_)));
  const ModelConfig& config = model_->config();
  for (std::size_t i = 0; i < config.layer_types.size(); ++i) found.layer_names_.push_back(name_layer(config, i));
  found.experts_ = static_cast<int>(config.n_routed_experts);
  const VideoVocabularySizes& sizes = layout.vocabulary().sizes();
  found.rows_ = sizes.rows, found.columns_ = sizes.columns;
  found.place_.resize(static_cast<std::size_t>(layout.cells()));
  for (std::int64_t k = 0; k < layout.cells(); ++k) {
    found.cell_.push_back(layout.cell(k));
    found.place_[static_cast<std::size_t>(layout.cell(k))] = VideoVocabulary::kHeader + k;
  }
  return found;
}

}  // namespace orrery::pipeline
