// Looking inside the model at one latent frame: which experts took its tokens, and where it looked when it drew each
// cell.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/pipeline/loaded_model.h"
#include "core/generate/trace.h"

namespace orrery::pipeline {

/// A latent frame as it went through the model: its codes in row-major order of the cells, and what a person did at its
/// begin.
struct LatentFrame {
  std::span<const std::int32_t> codes;
  Action action;
};

/// Where the model looked when it drew one cell: shares of its attention, that sum to 1.
struct Look {
  /// frames[b][cell]: in the latent frame b before this one (0: this one), row-major. As many as there are in the
  /// context.
  std::vector<std::vector<float>> frames;
  float words = 0;    ///< the prompt
  float marks = 0;    ///< what stands before the codes of each frame: frame mark and action
  float nothing = 0;  ///< the sinks

  /// The share of a frame.
  float frame(std::size_t back) const;
  /// The cells of all frames one over the other.
  std::vector<float> cells() const;
};

class Insight {
 public:
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  std::int64_t cells() const { return std::int64_t{rows_} * columns_; }
  std::size_t layers() const { return layer_names_.size(); }
  int experts() const { return experts_; }
  /// "window, experts by token", "window and whole frames, experts by score" …
  const std::string& layer_name(std::size_t layer) const { return layer_names_[layer]; }
  /// Latent frames before this one in its context.
  std::size_t earlier() const { return earlier_; }

  /// The routed expert that weighs most for each cell's token, row-major.
  std::vector<int> first_experts(std::size_t layer) const;
  /// Share of the frame's tokens (its marks too) that each routed expert took part in; sums to the experts a token.
  std::vector<float> load(std::size_t layer) const;
  /// Where the model looked in a layer when it drew a cell (row-major); layer < 0: the mean of all layers.
  Look look(std::int64_t cell, int layer) const;

 private:
  friend class Inspector;
  void add_look(const TokenTrace& token, float weight, Look& look) const;

  DecodeTrace trace_;                // of the frame's tokens
  std::vector<std::int64_t> place_;  // in the group, of each cell (row-major)
  std::vector<std::int64_t> cell_;   // the other way round: of each code of a group
  std::vector<std::string> layer_names_;
  std::int64_t begin_ = 0, group_ = 0, prompt_ = 0;
  std::size_t earlier_ = 0;
  int rows_ = 0, columns_ = 0, experts_ = 0;
};

/// Runs clips through the model again and looks at it. Keeps its place, so that frame after frame costs one frame each.
/// One thread at a time; the model must outlive it.
class Inspector {
 public:
  explicit Inspector(const LoadedModel& model) : model_(&model), state_(model.decoder().start()) {}
  /// The last of `frames`, which are a clip's from its start. Throws InputError for no frames, and what
  /// LoadedModel::encode_prompt throws; an empty prompt is allowed.
  Insight inspect(const std::string& prompt, std::span<const LatentFrame> frames);

 private:
  const LoadedModel* model_;
  DecodeState state_;
  std::vector<std::int32_t> fed_;
};

}  // namespace orrery::pipeline
