// From a video to words, by the model that makes videos from words.
#pragma once

#include <string>

#include "apps/pipeline/loaded_model.h"

namespace orrery::pipeline {

/// The most likely sentence for the codes of a video's latent frames (encode_window()); those beyond
/// describe_latents() are not looked at.
std::string describe(const LoadedModel& model, std::span<const std::int32_t> codes);

/// Latent frames that a description looks at: what was trained together with a sentence behind it.
std::int64_t describe_latents(const LoadedModel& model);

}  // namespace orrery::pipeline
