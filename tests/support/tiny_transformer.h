// Transformers of a few thousand weights from tests/fixtures, for tests of decoding.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/io/parameters_file.h"
#include "core/model/transformer.h"

namespace orrery::test {

/// Where a card's machine has them, which is not where they were compiled.
inline std::string fixtures() {
  const char* carried = std::getenv("ORRERY_TEST_FIXTURES");
  return carried ? carried : ORRERY_TEST_FIXTURES;
}

/// "video": the mixed model with everything that the video layout adds, frames of 2×2 codes; "axes": with rotary angles
/// by time, row and column too; "extra": with extra digits of codes.
inline Transformer tiny_transformer(const std::string& case_name) {
  const bool axes = case_name == "axes", extra = case_name == "extra", video = axes || extra || case_name == "video";
  const std::string name = video ? "mixed" : case_name;
  const std::string folder = name.starts_with("v3") ? "/deepseek_v3/" : "/deepseek_v4/";
  const std::string path = fixtures() + folder + name + ".safetensors";
  const TensorFile file = open_tensors(path);
  Random random(1);
  ModelConfig config = parse_model_config(file.metadata("config"), path);
  if (video) {
    config.video.codes = 40;
    config.video.grid_rows = config.video.grid_columns = 2;
    config.video.place_embedding = config.video.recall_embedding = true;
    config.video.levels = {8, 5};
    if (axes) config.video.rope_axes = {2, 1, 1};
    if (extra) config.video.codes *= 12, config.video.extra_levels = {4, 3}, config.video.extra_width = 16;
  }
  Transformer model(config, random);
  for (const Parameter& item : model.parameters().all())
    if (item.name.find("digits") != std::string::npos || item.name.find("extra") != std::string::npos)
      item.value.detach().copy_from(Tensor::randn(item.value.shape(), random, extra ? 0.3f : 0.02f));
    else if (item.name != "model.embed_places.weight" && item.name != "model.embed_recall.weight")
      file.load_into("weight." + item.name, item.value);
  return model;
}

inline std::vector<std::int32_t> some_ids(std::int64_t count) {
  Random random(5);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(random.below(64)));
  return ids;
}

}  // namespace orrery::test
