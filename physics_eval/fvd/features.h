// What turns a clip into a feature vector, behind one interface.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "video/frames/frame.h"

namespace orrery {

class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;
  /// As given to make_features().
  virtual std::string name() const = 0;
  /// Values a clip.
  virtual int dimension() const = 0;
  /// Fewest frames a clip must have.
  virtual int least_frames() const = 0;
  /// One vector a clip. Thread-safe. Throws InputError for too few frames.
  virtual std::vector<double> extract(std::span<const Frame> frames) const = 0;
};

/// "builtin": 240 values from 16 frames spread over the clip, 64 × 64, no weights: colour, edge directions and motion
/// energy on a 4 × 4 grid, and how they change. "motion": 96 values of motion alone. Figures made with them compare
/// sets with one another and never with published FVD. Throws InputError for another name.
std::unique_ptr<FeatureExtractor> make_features(const std::string& name);

}  // namespace orrery
