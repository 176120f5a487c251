// What turns a clip into feature vectors, behind one interface.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "physics_eval/fvd/protocol.h"
#include "video/frames/frame.h"

namespace orrery {

class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;
  /// How they are made, for messages and files: two sets are compared only when this is equal.
  virtual std::string name() const = 0;
  /// What a Fréchet distance of them is called: in JSON "fvd" (I3D alone), "fvd-orrery" (builtin alone),
  /// "fvd-handmade", "fvd-motion", "fvd-onnx", "fvmd".
  virtual std::string metric() const = 0;
  /// The same on a line: "FVD (orrery features)".
  virtual std::string title() const = 0;
  /// Fewest frames a clip must have.
  virtual int least_frames() const = 0;
  /// Added to the covariances under the root (frechet_distance()).
  virtual double covariance_offset() const { return 0; }
  /// The vectors of a clip: one, but of FVMD one for each 16 frames in a row. Thread-safe. Throws InputError for too
  /// few frames.
  virtual std::vector<std::vector<double>> extract(std::span<const Frame> frames) const = 0;
};

/// "builtin:FOLDER": the vector of a video encoder that was trained on the worlds (video_encoder.h), 160 values of
/// frames of 64 × 64, at least 16 of them. "handmade": 240 values from 16 frames spread over the clip, 64 × 64, no
/// weights: colour, edge directions and motion energy on a 4 × 4 grid, and how they change. "motion": 96 values of
/// motion alone. Figures made with these compare sets with one another and never with published FVD. "fvmd:fixed",
/// "fvmd:compat": FVMD's histograms of motion (motion_histogram.h). "i3d:FILE": I3D's 400 logits (i3d.h). "onnx:FILE":
/// what a network in a file answers (onnx_features.h). Throws InputError for another name, and for files that cannot be
/// used.
std::unique_ptr<FeatureExtractor> make_features(const std::string& name,
                                                const FvdProtocol& protocol = fvd_protocol("orrery"));
/// Whether make_features() knows the name, whatever the file in it holds; "builtin" stands for the shipped encoder.
bool is_feature_name(const std::string& name);

}  // namespace orrery
