#include "physics_eval/fvd/features.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "core/base/sha256.h"
#include "physics_eval/encoder/video_encoder.h"
#include "physics_eval/fvd/i3d.h"
#include "physics_eval/fvd/motion_histogram.h"
#include "physics_eval/fvd/onnx_features.h"
#include "video/frames/resize.h"

namespace orrery {

namespace {

using Size = std::size_t;

constexpr int kSide = 64, kSamples = 16, kGrid = 4, kCell = kSide / kGrid, kDirections = 4;

using Picture = std::vector<double>;  // kSide × kSide lightness in [0, 1]

double& at(Picture& p, int x, int y) { return p[static_cast<Size>(y * kSide + x)]; }
double at(const Picture& p, int x, int y) { return p[static_cast<Size>(y * kSide + x)]; }
Size cell_of(int x, int y) { return static_cast<Size>((y / kCell) * kGrid + x / kCell); }

// Frames spread over the clip, at 64².
std::vector<Frame> sampled(std::span<const Frame> frames, bool crop) {
  std::vector<Frame> out;
  for (int k = 0; k < kSamples; ++k) {
    const Size t = static_cast<Size>(std::lround((static_cast<double>(frames.size()) - 1) * k / (kSamples - 1)));
    out.push_back(resize(crop ? middle_square(frames[t]) : frames[t], kSide, kSide, Filter::area));
  }
  return out;
}

Picture lightness_of(const Frame& frame) {
  Picture out(kSide * kSide);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const std::uint8_t* p = frame.at(x, y);
      at(out, x, y) = (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]) / 255;
    }
  }
  return out;
}

// Mean colour of each cell: 48 values.
void add_colour(const Frame& frame, std::vector<double>& sum) {
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      for (Size c = 0; c < 3; ++c) sum[3 * cell_of(x, y) + c] += frame.at(x, y)[c] / (255.0 * kCell * kCell);
    }
  }
}

// Gradient strength by direction in each cell: 64 values.
void add_edges(const Picture& p, std::vector<double>& sum) {
  for (int y = 1; y + 1 < kSide; ++y) {
    for (int x = 1; x + 1 < kSide; ++x) {
      const double gx = at(p, x + 1, y) - at(p, x - 1, y), gy = at(p, x, y + 1) - at(p, x, y - 1);
      const double strength = std::hypot(gx, gy);
      if (strength < 1e-6) continue;
      const double turn = (std::atan2(gy, gx) / 3.14159265358979324 + 1) * kDirections;
      sum[kDirections * cell_of(x, y) + static_cast<Size>(turn) % kDirections] += strength / kCell;
    }
  }
}

// Normal flow between two pictures, by direction (right, down, left, up) in each cell: 64 values; and its size: 16.
void add_motion(const Picture& a, const Picture& b, std::vector<double>& sum) {
  for (int y = 1; y + 1 < kSide; ++y) {
    for (int x = 1; x + 1 < kSide; ++x) {
      const double gx = (at(a, x + 1, y) - at(a, x - 1, y) + at(b, x + 1, y) - at(b, x - 1, y)) / 4,
                   gy = (at(a, x, y + 1) - at(a, x, y - 1) + at(b, x, y + 1) - at(b, x, y - 1)) / 4;
      const double change = at(b, x, y) - at(a, x, y), square = gx * gx + gy * gy;
      const Size cell = cell_of(x, y);
      sum[80 - 16 + cell] += std::abs(change) / kCell;
      if (square < 1e-5) continue;
      const double u = -change * gx / (square + 1e-3), v = -change * gy / (square + 1e-3);
      sum[4 * cell] += std::max(0.0, u) / kCell, sum[4 * cell + 1] += std::max(0.0, v) / kCell;
      sum[4 * cell + 2] += std::max(0.0, -u) / kCell, sum[4 * cell + 3] += std::max(0.0, -v) / kCell;
    }
  }
}

// Motion energy of the whole picture from step to step, and how it changes: 16 values.
std::vector<double> motion_course(const std::vector<Picture>& pictures) {
  std::vector<double> out;
  for (Size t = 0; t + 1 < pictures.size(); ++t) {
    double sum = 0;
    for (Size i = 0; i < pictures[t].size(); ++i) sum += std::abs(pictures[t + 1][i] - pictures[t][i]);
    out.push_back(10 * sum / static_cast<double>(pictures[t].size()));
  }
  out.push_back(*std::max_element(out.begin(), out.end()) - *std::min_element(out.begin(), out.end()));
  return out;
}

class Handmade : public FeatureExtractor {
 public:
  Handmade(bool motion_only, const FvdProtocol& protocol) : motion_only_(motion_only), crop_(protocol.crop) {}
  std::string name() const override {
    return std::string("orrery ") + sort() + (crop_ ? ", middle square" : ", squashed");
  }
  std::string metric() const override { return "fvd-" + sort(); }
  std::string title() const override { return "FVD (" + sort() + " features)"; }
  int least_frames() const override { return 2; }

  std::vector<std::vector<double>> extract(std::span<const Frame> frames) const override {
    ORRERY_CHECK(static_cast<int>(frames.size()) >= least_frames(), "[fvd] a clip of ", frames.size(),
                 " frames, these features need at least ", least_frames());
    const std::vector<Frame> chosen = sampled(frames, crop_);
    std::vector<Picture> pictures;
    for (const Frame& frame : chosen) pictures.push_back(lightness_of(frame));
    std::vector<double> motion(80, 0), out;
    for (Size t = 0; t + 1 < pictures.size(); ++t) add_motion(pictures[t], pictures[t + 1], motion);
    for (double& m : motion) m /= kSamples - 1;
    if (!motion_only_) {
      std::vector<double> colour(48, 0), edges(64, 0), first(48, 0), last(48, 0);
      for (const Frame& frame : chosen) add_colour(frame, colour);
      for (double& c : colour) c /= kSamples;
      for (const Picture& p : pictures) add_edges(p, edges);
      for (double& e : edges) e /= kSamples;
      add_colour(chosen.front(), first), add_colour(chosen.back(), last);
      out.insert(out.end(), colour.begin(), colour.end());
      out.insert(out.end(), edges.begin(), edges.end());
      for (Size i = 0; i < 32; ++i) {  // of cells' colours, two of three channels
        const Size k = 3 * (i / 2) + i % 2;
        out.push_back(last[k] - first[k]);
      }
    }
    out.insert(out.end(), motion.begin(), motion.end());
    const std::vector<double> course = motion_course(pictures);
    out.insert(out.end(), course.begin(), course.end());
    return {out};
  }

 private:
  std::string sort() const { return motion_only_ ? "motion" : "handmade"; }

  bool motion_only_, crop_;
};

class EncoderFeatures : public FeatureExtractor {
 public:
  EncoderFeatures(const std::string& folder, const FvdProtocol& protocol)
      : encoder_(load_encoder(folder)), crop_(protocol.crop) {
    const std::string hash = sha256_file_hex(folder + "/encoder.safetensors");
    name_ = "orrery encoder " + hash.substr(0, 12) + (crop_ ? ", middle square" : ", squashed");
  }
  std::string name() const override { return name_; }
  std::string metric() const override { return "fvd-orrery"; }
  std::string title() const override { return "FVD (orrery features)"; }
  int least_frames() const override { return static_cast<int>(encoder_.config().frames); }

  std::vector<std::vector<double>> extract(std::span<const Frame> frames) const override {
    ORRERY_CHECK(static_cast<int>(frames.size()) >= least_frames(), "[fvd] a clip of ", frames.size(),
                 " frames, these features need at least ", least_frames());
    const int side = static_cast<int>(encoder_.config().side);
    std::vector<Frame> small;
    for (const Frame& frame : frames)
      small.push_back(resize(crop_ ? middle_square(frame) : frame, side, side, Filter::area));
    return {encoder_.describe(small)};
  }

 private:
  VideoEncoder encoder_;
  std::string name_;
  bool crop_;
};

class I3dFeatures : public FeatureExtractor {
 public:
  I3dFeatures(const std::string& path, const FvdProtocol& protocol)
      : network_(I3d::open(path)), protocol_(protocol.name), squaring_(protocol.squaring) {
    ORRERY_CHECK(network_.outputs() == 400 && network_.first_width() == 64 && network_.last_width() == 1024, path,
                 ": an I3D of ", network_.first_width(), " to ", network_.last_width(), " channels with ",
                 network_.outputs(), " answers, FVD is defined by the one of 64 to 1024 with Kinetics-400's 400");
  }
  std::string name() const override { return "I3D, pictures of " + protocol_; }
  std::string metric() const override { return "fvd"; }
  std::string title() const override { return "FVD"; }
  int least_frames() const override { return I3d::kLeastFrames; }
  std::vector<std::vector<double>> extract(std::span<const Frame> frames) const override {
    ORRERY_CHECK(static_cast<int>(frames.size()) >= least_frames(), "[fvd] a clip of ", frames.size(),
                 " frames, I3D needs at least ", least_frames());
    return {network_.logits(square_clip(frames, I3d::kSide, squaring_))};
  }

 private:
  I3d network_;
  std::string protocol_;
  Squaring squaring_;
};

// The file of "i3d:FILE", empty for other names.
std::string file_behind(const std::string& name, const std::string& prefix) {
  return name.rfind(prefix, 0) == 0 ? name.substr(prefix.size()) : std::string();
}

}  // namespace

bool is_feature_name(const std::string& name) {
  return name == "builtin" || name == "handmade" || name == "motion" || name == "fvmd:fixed" || name == "fvmd:compat" ||
         !file_behind(name, "builtin:").empty() || !file_behind(name, "i3d:").empty() ||
         !file_behind(name, "onnx:").empty();
}

std::unique_ptr<FeatureExtractor> make_features(const std::string& name, const FvdProtocol& protocol) {
  ORRERY_CHECK(is_feature_name(name), "[fvd] unknown features '", name,
               "', expected builtin, handmade, motion, fvmd:fixed, fvmd:compat, i3d:FILE or onnx:FILE");
  ORRERY_CHECK(name != "builtin", "[fvd] builtin features need their encoder's folder: builtin:FOLDER");
  if (const std::string folder = file_behind(name, "builtin:"); !folder.empty())
    return std::make_unique<EncoderFeatures>(folder, protocol);
  if (name == "fvmd:fixed") return make_motion_histograms(FvmdForm::fixed);
  if (name == "fvmd:compat") return make_motion_histograms(FvmdForm::compat);
  if (const std::string file = file_behind(name, "i3d:"); !file.empty())
    return std::make_unique<I3dFeatures>(file, protocol);
  if (const std::string file = file_behind(name, "onnx:"); !file.empty()) return make_onnx_features(file, protocol);
  return std::make_unique<Handmade>(name == "motion", protocol);
}

}  // namespace orrery
