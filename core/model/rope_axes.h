// Rotary angles by time, row and column: an option for video tokens (video.rope_axes), after the multimodal rotary
// embedding of Qwen2-VL (Wang et al. 2024, arXiv 2409.12191, §2.1). Text keeps one dimension: its position counts on
// all three axes. A video token's time is the position at which its latent frame begins, so that times and positions
// are of one measure; its row and column are its cell's. The header stands in a row above the picture, row −1.
//
// Of the pairs, fastest first, rows and columns take turns, and time has the slowest: it spans the whole context
// (Wei et al. 2025, arXiv 2502.05173).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/model/config.h"
#include "core/model/rope_table.h"

namespace orrery {

class RopeAxes {
 public:
  explicit RopeAxes(const ModelConfig& config);

  /// Without it all pairs turn with the position.
  bool on() const { return !axes_.empty(); }
  /// Appends the angle of each pair for token `id` at `position`.
  void append_angles(std::vector<float>& angles, const std::vector<float>& frequencies, std::int64_t position,
                     std::int32_t id) const;
  /// What append_angles() looks up, for a device.
  struct Tables {
    std::vector<std::int32_t> axes, cells;  ///< of each pair, empty where not on(); of each code of a latent frame
    std::int32_t group, columns, header, frame_mark, first_in_frame;
  };
  Tables tables() const;
  /// Tables of ids [sequences, length], one row a token: of every `step`-th token, ⌊length / step⌋ a sequence.
  RopeTable table(const RopeConfig& rope, std::span<const std::int32_t> ids, std::int64_t sequences,
                  std::int64_t step) const;

 private:
  bool in_frame(std::int32_t id) const { return id == frame_mark_ || id >= first_in_frame_; }

  std::vector<int> axes_;  ///< of each pair: 0 time, 1 row, 2 column
  std::int64_t rope_dim_, group_, columns_;
  std::vector<std::int64_t> cells_;  ///< row-major cell of the k-th code
  std::int32_t frame_mark_ = 0, first_in_frame_ = 0;
};

}  // namespace orrery
