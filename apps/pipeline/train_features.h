// orrery train features: the video encoder behind the `builtin` features, on clips drawn from the worlds.
#pragma once

#include "apps/pipeline/train_codec.h"

namespace orrery::pipeline {

/// Trains until done, out of time or stopped; `out` then holds the encoder and the state to go on from.
void train_features(const TrainOptions& options);

}  // namespace orrery::pipeline
