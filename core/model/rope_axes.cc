#include "core/model/rope_axes.h"

#include <cmath>

#include "core/text/sequence.h"

namespace orrery {

RopeAxes::RopeAxes(const ModelConfig& config)
    : rope_dim_(config.qk_rope_head_dim), group_(config.video.group()), columns_(config.video.grid_columns) {
  const std::vector<std::int64_t>& counts = config.video.rope_axes;
  if (counts.empty()) return;
  std::int64_t rows = counts[1], columns = counts[2];
  while (rows + columns > 0) {
    if (rows > 0) axes_.push_back(1), --rows;
    if (columns > 0) axes_.push_back(2), --columns;
  }
  axes_.resize(axes_.size() + static_cast<std::size_t>(counts[0]), 0);
  // The block of ids that are not text ends the vocabulary (core/text/vocabulary.h).
  const VideoVocabularySizes sizes{static_cast<std::int32_t>(config.video.grid_rows),
                                   static_cast<std::int32_t>(config.video.grid_columns),
                                   static_cast<std::int32_t>(config.video.codes)};
  const auto block = static_cast<std::int64_t>(VideoVocabulary(0, sizes).size());
  ORRERY_CHECK(block <= config.ids(), "[rope axes] vocab_size is ", config.ids(), ", expected at least the ", block,
               " ids of the video's vocabulary");
  const SequenceLayout layout(VideoVocabulary(static_cast<std::int32_t>(config.ids() - block), sizes));
  frame_mark_ = layout.vocabulary().mark(Mark::frame);
  first_in_frame_ = layout.vocabulary().mark(Mark::nowhere);  // then actions, rows, columns, codes
  for (std::int64_t k = 0; k < layout.cells(); ++k) cells_.push_back(layout.cell(k));
}

void RopeAxes::append_angles(std::vector<float>& angles, const std::vector<float>& frequencies, std::int64_t position,
                             std::int32_t id) const {
  std::int64_t places[3] = {position, position, position};
  if (on() && in_frame(id)) {
    const std::int64_t k = position % group_ - VideoVocabulary::kHeader;
    places[0] = position - position % group_;
    places[1] = k < 0 ? -1 : cells_[static_cast<std::size_t>(k)] / columns_;
    places[2] = k < 0 ? k + VideoVocabulary::kHeader : cells_[static_cast<std::size_t>(k)] % columns_;
  }
  for (std::size_t i = 0; i < frequencies.size(); ++i)
    angles.push_back(static_cast<float>(on() ? places[axes_[i]] : position) * frequencies[i]);
}

RopeAxes::Tables RopeAxes::tables() const {
  return {{axes_.begin(), axes_.end()},
          {cells_.begin(), cells_.end()},
          static_cast<std::int32_t>(group_),
          static_cast<std::int32_t>(columns_),
          VideoVocabulary::kHeader,
          frame_mark_,
          first_in_frame_};
}

RopeTable RopeAxes::table(const RopeConfig& rope, std::span<const std::int32_t> ids, std::int64_t sequences,
                          std::int64_t step) const {
  const std::vector<float> frequencies = rope_frequencies(rope, rope_dim_);
  const std::int64_t length = static_cast<std::int64_t>(ids.size()) / sequences, count = length / step;
  std::vector<float> angles;
  for (std::int64_t b = 0; b < sequences; ++b)
    for (std::int64_t i = 0; i < count; ++i)
      append_angles(angles, frequencies, i * step, ids[static_cast<std::size_t>(b * length + i * step)]);
  const Shape shape{sequences * count, rope_dim_ / 2};
  const RopeTable result{Tensor::empty(shape), Tensor::empty(shape)};
  for (std::size_t i = 0; i < angles.size(); ++i) {
    result.cos.data<float>()[i] = std::cos(angles[i]);
    result.sin.data<float>()[i] = std::sin(angles[i]);
  }
  return result;
}

}  // namespace orrery
