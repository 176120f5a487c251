// A person's own picture or video on its way into the model: fitted to the model's size and rate, then codes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/pipeline/loaded_model.h"

namespace orrery::pipeline {

/// The codes of a picture or of a whole video, fitted to the model's size (centre cut out) and rate: whole latent
/// frames. Throws InputError when it cannot be read, or is longer than `longest_seconds`.
std::vector<std::int32_t> encode_start(const LoadedModel& model, const std::string& path, bool picture,
                                       double longest_seconds);

/// The codes of at most `latents` latent frames of a video from `start_seconds` on. Throws InputError when it cannot be
/// read or ends before.
std::vector<std::int32_t> encode_window(const LoadedModel& model, const std::string& path, double start_seconds,
                                        std::int64_t latents);

}  // namespace orrery::pipeline
