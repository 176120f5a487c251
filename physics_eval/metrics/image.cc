#include "physics_eval/metrics/image.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "core/base/parallel.h"

namespace orrery {

namespace {

using Size = std::size_t;

constexpr int kRadius = 5;  // 3.5 σ, as SciPy truncates
constexpr int kWindow = 2 * kRadius + 1;

std::array<double, kWindow> gaussian_window() {
  std::array<double, kWindow> w{};
  double sum = 0;
  for (int i = 0; i < kWindow; ++i)
    sum += w[static_cast<Size>(i)] = std::exp(-0.5 * (i - kRadius) * (i - kRadius) / (1.5 * 1.5));
  for (double& v : w) v /= sum;
  return w;
}

// The five weighted moments of a pair of planes, over the pixels whose window lies inside: [height - 10][width - 10].
struct Moments {
  std::vector<double> a, b, aa, bb, ab;
};

void check_pair(const Frame& a, const Frame& b, const char* what) {
  ORRERY_CHECK(a.width() == b.width() && a.height() == b.height(), "[", what, "] the frames are ", a.width(), "x",
               a.height(), " and ", b.width(), "x", b.height(), ", expected one size");
}

double ssim_channel(const Frame& a, const Frame& b, int channel) {
  static const std::array<double, kWindow> window = gaussian_window();
  const int width = a.width(), height = a.height(), out_width = width - 2 * kRadius, out_height = height - 2 * kRadius;
  const double c1 = (0.01 * 255) * (0.01 * 255), c2 = (0.03 * 255) * (0.03 * 255);
  // Rows filtered horizontally, kept for a window of rows: [row][moment][x].
  const Size line = 5 * static_cast<Size>(out_width);
  std::vector<double> rows(static_cast<Size>(height) * line);
  for (int y = 0; y < height; ++y) {
    double* out = &rows[static_cast<Size>(y) * line];
    const std::uint8_t *pa = a.row(y) + channel, *pb = b.row(y) + channel;
    for (int x = 0; x < out_width; ++x) {
      double m[5] = {0, 0, 0, 0, 0};
      for (int k = 0; k < kWindow; ++k) {
        const double w = window[static_cast<Size>(k)], va = pa[3 * (x + k)], vb = pb[3 * (x + k)];
        m[0] += w * va, m[1] += w * vb, m[2] += w * va * va, m[3] += w * vb * vb, m[4] += w * va * vb;
      }
      for (int i = 0; i < 5; ++i) out[i * out_width + x] = m[i];
    }
  }
  double sum = 0;
  std::vector<double> column(line);
  for (int y = 0; y < out_height; ++y) {
    std::fill(column.begin(), column.end(), 0.0);
    for (int k = 0; k < kWindow; ++k) {
      const double w = window[static_cast<Size>(k)];
      const double* row = &rows[static_cast<Size>(y + k) * line];
      for (Size i = 0; i < line; ++i) column[i] += w * row[i];
    }
    const Size n = static_cast<Size>(out_width);
    for (Size x = 0; x < n; ++x) {
      const double ma = column[x], mb = column[n + x];
      const double va = column[2 * n + x] - ma * ma, vb = column[3 * n + x] - mb * mb,
                   vab = column[4 * n + x] - ma * mb;
      sum += (2 * ma * mb + c1) * (2 * vab + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
    }
  }
  return sum / (static_cast<double>(out_width) * out_height);
}

}  // namespace

double psnr(const Frame& a, const Frame& b) {
  check_pair(a, b, "psnr");
  const auto pa = a.bytes(), pb = b.bytes();
  std::int64_t sum = 0;
  for (Size i = 0; i < pa.size(); ++i) {
    const int d = pa[i] - pb[i];
    sum += d * d;
  }
  if (sum == 0) return 100;
  return std::min(100.0, 10 * std::log10(255.0 * 255.0 * static_cast<double>(pa.size()) / static_cast<double>(sum)));
}

double ssim(const Frame& a, const Frame& b) {
  check_pair(a, b, "ssim");
  ORRERY_CHECK(a.width() >= kWindow && a.height() >= kWindow, "[ssim] the frames are ", a.width(), "x", a.height(),
               ", expected at least 11x11");
  return (ssim_channel(a, b, 0) + ssim_channel(a, b, 1) + ssim_channel(a, b, 2)) / 3;
}

FrameScores score_frames(std::span<const Frame> a, std::span<const Frame> b) {
  ORRERY_CHECK(a.size() == b.size(), "[score frames] ", a.size(), " frames against ", b.size(), ", expected as many");
  ORRERY_CHECK(!a.empty(), "[score frames] there are no frames");
  FrameScores out;
  out.frames.resize(a.size());
  parallel_for(static_cast<std::int64_t>(a.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const Size i = static_cast<Size>(t);
      out.frames[i] = {psnr(a[i], b[i]), ssim(a[i], b[i])};
    }
  });
  for (const FrameScore& score : out.frames) out.mean.psnr += score.psnr, out.mean.ssim += score.ssim;
  out.mean.psnr /= static_cast<double>(a.size());
  out.mean.ssim /= static_cast<double>(a.size());
  return out;
}

}  // namespace orrery
