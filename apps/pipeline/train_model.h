// orrery train model: the transformer from a TOML configuration, on sequences drawn from the worlds through a codec.
#pragma once

#include "apps/pipeline/train_codec.h"

namespace orrery::pipeline {

/// The configuration names the codec's folder. `out` becomes a model folder (config.json, weights, tokenizer.json,
/// words.txt, codec) beside the state to go on from.
void train_model(const TrainOptions& options);

}  // namespace orrery::pipeline
