// How the published implementations prepare clips for their Fréchet video distance. The distance itself is one formula;
// these choices make the published figures differ.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "physics_eval/fvd/prepare.h"
#include "video/frames/frame.h"

namespace orrery {

struct FvdProtocol {
  std::string_view name;
  /// Pictures that are not square: the middle square is cut out, or all of it is squashed to a square.
  bool crop;
  /// Covariances over N, not N − 1.
  bool population;
  int least_frames;
  /// How its network's 224 × 224 pixels are made (I3D and ONNX features).
  Squaring squaring;
  /// Clips that its published figures are made with; 0: any number.
  int clips;
  /// In a line.
  std::string_view about;
};

/// orrery, google-research, stylegan-v, common-metrics, cd-fvd.
std::span<const FvdProtocol> fvd_protocols();
std::vector<std::string> fvd_protocol_names();
/// Throws InputError for an unknown name.
const FvdProtocol& fvd_protocol(std::string_view name);

/// The middle square of a frame; a square frame as it is. Throws InputError for an empty frame.
Frame middle_square(const Frame& frame);

}  // namespace orrery
