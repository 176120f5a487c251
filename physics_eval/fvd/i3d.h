// I3D, the network whose answers FVD compares: Inception-v1 inflated to three dimensions (Carreira & Zisserman 2017,
// arXiv 1705.07750), trained on Kinetics-400. Forward only, on our engine, with weights from the published PyTorch
// files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/io/safetensors.h"
#include "core/tensor/tensor.h"

namespace orrery {

class I3d {
 public:
  static constexpr int kSide = 224;       ///< pixels a side
  static constexpr int kLeastFrames = 9;  ///< below, less than two steps are left for the last pooling

  /// Weights by the published names of piergiaj's pytorch-i3d (`Mixed_3b.b1a.conv3d.weight`, `….bn.running_mean`),
  /// of hassony2's kinetics_i3d_pytorch (`mixed_3b.branch_1.0.conv3d.weight`, `….batch3d.running_mean`), with any
  /// prefix, or, in files of other names (TorchScript), in the architecture's order. Channel counts are taken from the
  /// weights. Throws InputError that says what was found and what was expected.
  I3d(std::span<const SafetensorsEntry> weights, const std::string& source);
  /// A .pt, .pth or TorchScript file, or .safetensors.
  static I3d open(const std::filesystem::path& path);

  /// Answers: 400 for Kinetics-400.
  int outputs() const { return outputs_; }
  /// Channels behind the first convolution and before the last: 64 and 1024 as published.
  int first_width() const { return first_width_; }
  int last_width() const { return last_width_; }

  /// Logits before the softmax, their mean over time, of a clip [frames, 224, 224, 3] in [−1, 1]. Thread-safe. Throws
  /// InputError for another shape or fewer than 9 frames.
  std::vector<double> logits(const Tensor& clip) const;

 private:
  /// A convolution with its batch normalisation folded in: weight [out, kt, kr, kc, in], bias [out].
  struct Unit {
    Tensor weight, bias;
  };
  Tensor mixed(const Tensor& x, std::size_t first_unit) const;

  std::vector<Unit> units_;
  int outputs_ = 0, first_width_ = 0, last_width_ = 0;
};

}  // namespace orrery
