#include "physics_eval/fvd/protocol.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"

namespace orrery {

namespace {

constexpr std::array<FvdProtocol, 5> kProtocols{{
    {"orrery", false, false, 1, Squaring::squash, 0,
     "squashed to a square, covariance over N - 1, any number of clips"},
    {"google-research", false, false, 9, Squaring::squash_corner, 0,
     "squashed by TensorFlow 1's corners, covariance over N - 1, whole batches of 16 clips"},
    {"stylegan-v", false, true, 9, Squaring::squash, 2048, "squashed, covariance over N, 2048 clips"},
    {"common-metrics", true, false, 10, Squaring::crop, 0, "shorter side to 224, middle square, covariance over N - 1"},
    {"cd-fvd", true, true, 9, Squaring::crop_then_squash, 2048,
     "antialiased to 256, middle square, squashed, covariance over N, 2048 clips"},
}};

}  // namespace

std::span<const FvdProtocol> fvd_protocols() { return kProtocols; }

std::vector<std::string> fvd_protocol_names() {
  std::vector<std::string> out;
  for (const FvdProtocol& row : kProtocols) out.emplace_back(row.name);
  return out;
}

const FvdProtocol& fvd_protocol(std::string_view name) {
  std::string known;
  for (const FvdProtocol& row : kProtocols) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw InputError("[fvd] unknown protocol '" + std::string(name) + "', expected one of: " + known);
}

Frame middle_square(const Frame& frame) {
  ORRERY_CHECK(!frame.empty(), "[fvd] an empty frame has no middle");
  const int side = std::min(frame.width(), frame.height());
  if (frame.width() == frame.height()) return frame;
  const int left = (frame.width() - side) / 2, top = (frame.height() - side) / 2;
  Frame out(side, side);
  for (int y = 0; y < side; ++y) std::copy_n(frame.at(left, top + y), 3 * side, out.row(y));
  return out;
}

}  // namespace orrery
