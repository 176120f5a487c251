// A program of somebody else's: Orrery's installed headers and libraries, one frame and one op.
#include <cmath>
#include <cstdio>
#include <vector>

#include "core/ops/norm.h"
#include "video/frames/frame.h"

int main() {
  orrery::Frame frame(3, 2, 100);
  const std::vector<float> bytes(frame.bytes().begin(), frame.bytes().end());
  const orrery::Tensor normed = orrery::ops::rms_norm(orrery::Tensor::from(bytes, {2, 9}), {});
  const float first = normed.to_vector().front();
  std::printf("rms norm of a %d x %d frame: %.4f\n", frame.height(), frame.width(), static_cast<double>(first));
  return std::abs(first - 1.0f) < 1e-5f ? 0 : 1;  // all values are alike, so each is its own root mean square
}
