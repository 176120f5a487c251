// The size that a picture really has: small pictures are often written enlarged, each pixel a block.
#pragma once

#include <span>

#include "video/frames/frame.h"

namespace orrery::tracking {

/// The shorter side in the blocks that the frames are made of (a 64² clip written at 512²: 64), or the shorter side
/// itself when they are not made of blocks at least 1.5 pixels wide. Steps of brightness lie on the blocks' borders,
/// whatever a codec then did to them; in anything else they lie everywhere.
int native_size(std::span<const Frame> frames);

}  // namespace orrery::tracking
