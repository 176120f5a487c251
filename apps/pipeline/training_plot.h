// A training log as curves.
#pragma once

#include <string>

#include "video/frames/frame.h"

namespace orrery::pipeline {

/// One plot a metric of a training folder's log.jsonl (loss and its parts, PSNR, learning rate), training and
/// validation sets in different colours. Throws InputError when the log is missing, empty or broken.
Frame plot_training(const std::string& folder);

}  // namespace orrery::pipeline
