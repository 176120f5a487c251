// Clips at the size that a network wants, as the published FVD implementations make them: floating-point pictures,
// since rounding in between would be a difference of its own.
#pragma once

#include <span>

#include "core/tensor/tensor.h"
#include "video/frames/frame.h"

namespace orrery {

/// How pictures of any size become squares.
enum class Squaring {
  squash,         ///< torch's F.interpolate(bilinear, align_corners=False) of the whole picture
  squash_corner,  ///< TensorFlow 1's resize_bilinear: pixel i of the result at i · in / out, without the half pixel
  crop,           ///< shorter side to the size by torch's bilinear, rounded up, then the middle square
  /// cd-fvd's two steps: shorter side to 256 with antialiasing, middle square, whole bytes, then `squash`
  crop_then_squash,
};

/// [frames, side, side, 3] f32 in [−1, 1]. The same bits at any thread count. Throws InputError for no frames, empty
/// ones, or ones of several sizes.
Tensor square_clip(std::span<const Frame> frames, int side, Squaring squaring);

}  // namespace orrery
