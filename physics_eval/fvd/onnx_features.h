// Features by a network in an ONNX file, run by OpenCV's dnn module.
#pragma once

#include <memory>
#include <string>

#include "physics_eval/fvd/features.h"

namespace orrery {

/// The network has one input of f32, whose declared shape says what it is given:
///   [N, 3, T, H, W] or [N, T, 3, H, W]   the clip's first T frames
///   [N, 3, H, W]                         frame by frame; the answers are averaged
/// in pixels of [−1, 1] at H × W, squared as the protocol says; other scales belong into the network. N is 1. Sizes
/// left open are 224 pixels and all frames. The first output, flattened, is the vector. Throws InputError for files
/// that are no such network.
std::unique_ptr<FeatureExtractor> make_onnx_features(const std::string& path, const FvdProtocol& protocol);

}  // namespace orrery
