#include "video/io/libav/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/avx2_loops.h"
#include "core/base/error.h"

namespace orrery::libav {
namespace {

// Exact rounding and full chroma interpolation: the defaults trade whole grey levels for speed.
constexpr int kScaleFlags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT;

// A damaged file can leave any number where libav's structs have an enumeration; to read one as the other would be
// undefined.
template <class Enumeration>
int number_in(const Enumeration& field) {
  static_assert(sizeof(Enumeration) == sizeof(int));
  int number = 0;
  std::memcpy(&number, &field, sizeof number);
  return number;
}

int sws_matrix(const AVFrame& in) {
  switch (number_in(in.colorspace)) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    // What players do with an untagged file: high definition is BT.709, the rest BT.601.
    default:
      return in.width >= 1280 || in.height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
  }
}

bool is_chroma_centred(const AVFrame& in) { return number_in(in.chroma_location) == AVCHROMA_LOC_CENTER; }

bool is_full_range(const AVFrame& in) {
  const int range = number_in(in.color_range);
  if (range != AVCOL_RANGE_UNSPECIFIED) return range == AVCOL_RANGE_JPEG;
  const int format = in.format;
  return format == AV_PIX_FMT_YUVJ420P || format == AV_PIX_FMT_YUVJ422P || format == AV_PIX_FMT_YUVJ444P ||
         format == AV_PIX_FMT_YUVJ440P || format == AV_PIX_FMT_YUVJ411P;
}

Owned<SwsContext> new_scaler(int in_width, int in_height, int in_format, int width, int height, int format) {
  Owned<SwsContext> scaler(sws_alloc_context());
  ORRERY_ASSERT(scaler != nullptr, "[video] out of memory");
  void* options = scaler.get();
  av_opt_set_int(options, "srcw", in_width, 0);
  av_opt_set_int(options, "srch", in_height, 0);
  av_opt_set_int(options, "src_format", in_format, 0);
  av_opt_set_int(options, "dstw", width, 0);
  av_opt_set_int(options, "dsth", height, 0);
  av_opt_set_int(options, "dst_format", format, 0);
  av_opt_set_int(options, "sws_flags", kScaleFlags, 0);
  return scaler;
}

std::uint8_t blend(int over, int under, int alpha) {
  return static_cast<std::uint8_t>((over * alpha + under * (255 - alpha) + 127) / 255);
}

void composite_row(const std::uint8_t* rgba, int width, std::uint32_t background, std::uint8_t* to) {
  const int red = background >> 16 & 255, green = background >> 8 & 255, blue = background & 255;
  for (int x = 0; x < width; ++x, rgba += 4, to += 3) {
    to[0] = blend(rgba[0], red, rgba[3]);
    to[1] = blend(rgba[1], green, rgba[3]);
    to[2] = blend(rgba[2], blue, rgba[3]);
  }
}

}  // namespace

int Orientation::rotation() const {
  if (!transpose) return mirror_x && mirror_y ? 180 : 0;
  return mirror_x == mirror_y ? 0 : mirror_x ? 90 : 270;
}

Orientation orientation_of(const std::int32_t* matrix) {
  Orientation orientation;
  if (matrix == nullptr) return orientation;
  // Rows (a b u)(c d v): a stored pixel (x, y) is shown at (a·x + c·y, b·x + d·y).
  const double a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  orientation.transpose = std::fabs(b) + std::fabs(c) > std::fabs(a) + std::fabs(d);
  orientation.mirror_x = (orientation.transpose ? c : a) < 0;
  orientation.mirror_y = (orientation.transpose ? b : d) < 0;
  return orientation;
}

Frame orient(const Frame& frame, Orientation orientation) {
  const int width = orientation.transpose ? frame.height() : frame.width();
  const int height = orientation.transpose ? frame.width() : frame.height();
  Frame out(width, height);
  for (int y = 0; y < height; ++y) {
    const int v = orientation.mirror_y ? height - 1 - y : y;
    for (int x = 0; x < width; ++x) {
      const int u = orientation.mirror_x ? width - 1 - x : x;
      std::memcpy(out.at(x, y), orientation.transpose ? frame.at(v, u) : frame.at(u, v), 3);
    }
  }
  return out;
}

void ToRgb::prepare(const AVFrame& in, int width, int height, AVPixelFormat target) {
  const int space = sws_matrix(in);
  const int range = is_full_range(in) ? 1 : 0;
  if (scaler_ != nullptr && in_width_ == in.width && in_height_ == in.height && in_format_ == in.format &&
      width_ == width && height_ == height && space_ == space && range_ == range) {
    return;
  }
  const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(in.format));
  ORRERY_CHECK(format != nullptr && sws_isSupportedInput(static_cast<AVPixelFormat>(in.format)) != 0,
               "[video] pixel format ", format != nullptr ? format->name : "unknown", " cannot be converted to RGB");
  scaler_ = new_scaler(in.width, in.height, in.format, width, height, target);
  const bool rgb = (format->flags & AV_PIX_FMT_FLAG_RGB) != 0;
  if (!rgb) {
    // In 4:2:0 chroma lies at the left, half way between two rows (MPEG-2's siting, H.264's default); centred for JPEG.
    const bool centred = is_chroma_centred(in);
    if (format->log2_chroma_w == 1) av_opt_set_int(scaler_.get(), "src_h_chr_pos", centred ? 128 : 0, 0);
    if (format->log2_chroma_h == 1) av_opt_set_int(scaler_.get(), "src_v_chr_pos", 128, 0);
  }
  const int* matrix = sws_getCoefficients(space);
  sws_setColorspaceDetails(scaler_.get(), matrix, rgb ? 1 : range, matrix, 1, 0, 1 << 16, 1 << 16);
  const int status = sws_init_context(scaler_.get(), nullptr, nullptr);
  ORRERY_CHECK(status >= 0, "[video] ", in.width, "x", in.height, " ", format->name,
               " cannot be converted to RGB: ", describe(status));
  target_ = new_frame();
  target_->width = width;
  target_->height = height;
  target_->format = target;
  ORRERY_ASSERT(av_frame_get_buffer(target_.get(), 0) >= 0, "[video] out of memory");
  in_width_ = in.width, in_height_ = in.height, in_format_ = in.format;
  width_ = width, height_ = height, space_ = space, range_ = range;
}

namespace {

/// What turns 8-bit YCbCr into RGB: luma in 1/16384, chroma (a weighted sum of 16) in 1/16384/16.
struct Matrix {
  int luma_zero = 0, luma = 0, red_v = 0, green_u = 0, green_v = 0, blue_u = 0;
};

Matrix rgb_matrix(int space, bool full) {
  double red = 0.299, blue = 0.114;  // BT.601
  if (space == SWS_CS_ITU709) red = 0.2126, blue = 0.0722;
  if (space == SWS_CS_FCC) red = 0.30, blue = 0.11;
  if (space == SWS_CS_SMPTE240M) red = 0.212, blue = 0.087;
  if (space == SWS_CS_BT2020) red = 0.2627, blue = 0.0593;
  const double green = 1 - red - blue, chroma = full ? 1.0 : 255.0 / 224;
  const auto weight = [&](double value) { return static_cast<int>(std::lround(value * chroma * 1024)); };
  Matrix matrix;
  matrix.luma_zero = full ? 0 : 16;
  matrix.luma = static_cast<int>(std::lround((full ? 1.0 : 255.0 / 219) * 16384));
  matrix.red_v = weight(2 * (1 - red));
  matrix.blue_u = weight(2 * (1 - blue));
  matrix.green_u = weight(-2 * (1 - blue) * blue / green);
  matrix.green_v = weight(-2 * (1 - red) * red / green);
  return matrix;
}

// Chroma of one row at every column, times 16, zero in the middle: `near` has weight 3 of 4, `far` 1 (they lie half way
// between rows); across, linear between the sites (at even columns, or half way between columns if `centred`).
ORRERY_LOOP void spread_chroma_loop(const std::uint8_t* near, const std::uint8_t* far, int count, bool centred,
                                    std::int16_t* __restrict sum, std::int16_t* __restrict out, int width) {
  for (int i = 0; i < count; ++i) sum[i + 1] = static_cast<std::int16_t>(3 * near[i] + far[i] - 512);
  sum[0] = sum[1];
  sum[count + 1] = sum[count];
  const auto weigh = [](int a, std::int16_t x, int b, std::int16_t y) {
    return static_cast<std::int16_t>(a * x + b * y);
  };
  const int own = centred ? 3 : 2, before = centred ? 1 : 0, self = 4 - before;
  for (int x = 0; x < width / 2; ++x) {
    out[2 * x] = weigh(self, sum[x + 1], before, sum[x]);
    out[2 * x + 1] = weigh(own, sum[x + 1], 4 - own, sum[x + 2]);
  }
  if (width % 2 != 0) out[width - 1] = weigh(self, sum[count], before, sum[count - 1]);
}
ORRERY_AVX2 void spread_chroma_avx2(const std::uint8_t* near, const std::uint8_t* far, int count, bool centred,
                                    std::int16_t* sum, std::int16_t* out, int width) {
  spread_chroma_loop(near, far, count, centred, sum, out, width);
}
void spread_chroma(const std::uint8_t* near, const std::uint8_t* far, int count, bool centred, std::int16_t* sum,
                   std::int16_t* out, int width) {
  has_avx2() ? spread_chroma_avx2(near, far, count, centred, sum, out, width)
             : spread_chroma_loop(near, far, count, centred, sum, out, width);
}

std::uint8_t clamp_byte(int value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); }

/// A row of YCbCr at every column: luma as stored, chroma from spread_chroma().
struct YuvRow {
  const std::uint8_t* luma;
  const std::int16_t *u, *v;
};
/// Where a row goes.
struct RowOut {
  std::uint8_t *red, *green, *blue;
};

void yuv_to_rgb_from(const YuvRow& in, const Matrix& m, int first, int width, const RowOut& out) {
  for (int x = first; x < width; ++x) {
    const int light = (in.luma[x] - m.luma_zero) * m.luma + (1 << 13);
    out.red[x] = clamp_byte((light + m.red_v * in.v[x]) >> 14);
    out.green[x] = clamp_byte((light + m.green_u * in.u[x] + m.green_v * in.v[x]) >> 14);
    out.blue[x] = clamp_byte((light + m.blue_u * in.u[x]) >> 14);
  }
}

#if defined(__x86_64__)
// Two 16-bit weights for pairs of 16-bit values, whose products are added in one instruction.
[[gnu::target("avx2")]] __m256i weights(int low, int high) {
  return _mm256_set1_epi32(static_cast<int>(static_cast<unsigned>(high) << 16 | (static_cast<unsigned>(low) & 0xFFFF)));
}

// 16 sums of 32 bits, in the order that unpacking left them in, as bytes.
[[gnu::target("avx2")]] void store_shifted(__m256i low, __m256i high, std::uint8_t* to) {
  const __m256i words = _mm256_packs_epi32(_mm256_srai_epi32(low, 14), _mm256_srai_epi32(high, 14));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

// How many pixels it did, 16 at a time.
[[gnu::target("avx2")]] int yuv_to_rgb_avx2(const YuvRow& in, const Matrix& m, int width, const RowOut& out) {
  const __m256i zero = _mm256_set1_epi16(static_cast<std::int16_t>(m.luma_zero)), half = _mm256_set1_epi32(1 << 13),
                luma_v = weights(m.luma, m.red_v), luma_u = weights(m.luma, m.blue_u),
                luma_green = weights(m.luma, m.green_u), green_v = weights(m.green_v, 0),
                nothing = _mm256_setzero_si256();
  int x = 0;
  for (; x + 16 <= width; x += 16) {
    const auto* luma = reinterpret_cast<const __m128i*>(in.luma + x);
    const __m256i y = _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128(luma)), zero),
                  u = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in.u + x)),
                  v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in.v + x));
    const __m256i yv_low = _mm256_unpacklo_epi16(y, v), yv_high = _mm256_unpackhi_epi16(y, v),
                  yu_low = _mm256_unpacklo_epi16(y, u), yu_high = _mm256_unpackhi_epi16(y, u);
    store_shifted(_mm256_add_epi32(_mm256_madd_epi16(yv_low, luma_v), half),
                  _mm256_add_epi32(_mm256_madd_epi16(yv_high, luma_v), half), out.red + x);
    store_shifted(_mm256_add_epi32(_mm256_madd_epi16(yu_low, luma_u), half),
                  _mm256_add_epi32(_mm256_madd_epi16(yu_high, luma_u), half), out.blue + x);
    const __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(v, nothing), green_v),
                  high = _mm256_madd_epi16(_mm256_unpackhi_epi16(v, nothing), green_v);
    store_shifted(_mm256_add_epi32(_mm256_add_epi32(_mm256_madd_epi16(yu_low, luma_green), half), low),
                  _mm256_add_epi32(_mm256_add_epi32(_mm256_madd_epi16(yu_high, luma_green), half), high),
                  out.green + x);
  }
  return x;
}
#else
int yuv_to_rgb_avx2(const YuvRow&, const Matrix&, int, const RowOut&) { return 0; }
#endif

// The commonest layout in our own loops: as exact as swscale's slowest setting and faster.
void yuv420p_to_lines(const AVFrame& in, const Matrix& matrix, bool centred, const LineSink& sink) {
  const int width = in.width, height = in.height, count = (width + 1) / 2, rows = (height + 1) / 2;
  const auto wide = static_cast<std::size_t>(width);
  std::vector<std::int16_t> sum(static_cast<std::size_t>(count) + 2), u(wide), v(wide);
  std::vector<std::uint8_t> lines(3 * wide);
  const RowOut out{lines.data(), lines.data() + wide, lines.data() + 2 * wide};
  for (int y = 0; y < height; ++y) {
    const int near = y / 2, far = std::clamp(y % 2 == 0 ? near - 1 : near + 1, 0, rows - 1);
    const auto row = [&](int plane, int index) {
      return in.data[plane] + static_cast<std::ptrdiff_t>(index) * in.linesize[plane];
    };
    spread_chroma(row(1, near), row(1, far), count, centred, sum.data(), u.data(), width);
    spread_chroma(row(2, near), row(2, far), count, centred, sum.data(), v.data(), width);
    const YuvRow from{row(0, y), u.data(), v.data()};
    yuv_to_rgb_from(from, matrix, has_avx2() ? yuv_to_rgb_avx2(from, matrix, width, out) : 0, width, out);
    sink(y, {out.red, out.green, out.blue});
  }
}

// Planes of green, blue and red, as lossless H.264 stores them.
void gbrp_to_lines(const AVFrame& in, const LineSink& sink) {
  for (int y = 0; y < in.height; ++y) {
    const auto row = [&](int plane) { return in.data[plane] + static_cast<std::ptrdiff_t>(y) * in.linesize[plane]; };
    sink(y, {row(2), row(0), row(1)});
  }
}

}  // namespace

void send_lines(const Frame& frame, const LineSink& sink) {
  const auto width = static_cast<std::size_t>(frame.width());
  std::vector<std::uint8_t> lines(3 * width);
  std::uint8_t *red = lines.data(), *green = red + width, *blue = green + width;
  for (int y = 0; y < frame.height(); ++y) {
    split_line(frame.row(y), frame.width(), red, green, blue);
    sink(y, {red, green, blue});
  }
}

// False: the picture has another layout or size.
bool ToRgb::run_planes(const AVFrame& in, int width, int height, const LineSink& sink) {
  if (width != in.width || height != in.height) return false;
  if (in.format == AV_PIX_FMT_YUV420P || in.format == AV_PIX_FMT_YUVJ420P) {
    yuv420p_to_lines(in, rgb_matrix(sws_matrix(in), is_full_range(in)), is_chroma_centred(in), sink);
    return true;
  }
  if (in.format != AV_PIX_FMT_GBRP) return false;
  gbrp_to_lines(in, sink);
  return true;
}

void ToRgb::run(const AVFrame& in, int width, int height, std::uint32_t background, const LineSink& sink) {
  if (run_planes(in, width, height, sink)) return;
  run_scaler(in, width, height, background, whole_);
  send_lines(whole_, sink);
}

void ToRgb::run(const AVFrame& in, int width, int height, std::uint32_t background, Frame& out) {
  if (out.width() != width || out.height() != height) out = Frame(width, height);
  const LineSink join = [&](int y, const Lines& lines) { join_line(lines, width, out.row(y)); };
  if (!run_planes(in, width, height, join)) run_scaler(in, width, height, background, out);
}

void ToRgb::run_scaler(const AVFrame& in, int width, int height, std::uint32_t background, Frame& out) {
  const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(in.format));
  // Palettes carry alpha entry by entry (GIF, PNG) without saying so in the format's flags everywhere.
  const bool alpha =
      format != nullptr && ((format->flags & AV_PIX_FMT_FLAG_ALPHA) != 0 || in.format == AV_PIX_FMT_PAL8);
  prepare(in, width, height, alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24);
  if (out.width() != width || out.height() != height) out = Frame(width, height);
  const int rows = sws_scale(scaler_.get(), in.data, in.linesize, 0, in.height, target_->data, target_->linesize);
  ORRERY_ASSERT(rows == height, "[video] conversion to RGB gave ", rows, " of ", height, " rows");
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* from = target_->data[0] + static_cast<std::ptrdiff_t>(y) * target_->linesize[0];
    if (alpha) {
      composite_row(from, width, background, out.row(y));
    } else {
      std::memcpy(out.row(y), from, static_cast<std::size_t>(width) * 3);
    }
  }
}

namespace {

// BT.709's luma weights and chroma scales (ITU-R BT.709-6, 3.2 and 3.3) for 8-bit limited range, in 1/65536.
constexpr double kRed = 0.2126, kBlue = 0.0722;
constexpr int fixed(double value) { return static_cast<int>(value * 65536 + (value < 0 ? -0.5 : 0.5)); }
constexpr int kYr = fixed(219.0 / 255 * kRed), kYb = fixed(219.0 / 255 * kBlue), kYg = fixed(219.0 / 255) - kYr - kYb;
constexpr double kBlueScale = 224.0 / 255 / (2 * (1 - kBlue)), kRedScale = 224.0 / 255 / (2 * (1 - kRed));
constexpr int kUr = fixed(-kBlueScale * kRed), kUb = fixed(kBlueScale * (1 - kBlue)), kUg = -kUr - kUb;
constexpr int kVb = fixed(-kRedScale * kBlue), kVr = fixed(kRedScale * (1 - kRed)), kVg = -kVr - kVb;

ORRERY_LOOP void luma_row(const std::uint8_t* rgb, int width, std::uint8_t* to) {
  for (int x = 0; x < width; ++x, rgb += 3) {
    to[x] = static_cast<std::uint8_t>((kYr * rgb[0] + kYg * rgb[1] + kYb * rgb[2] + (16 << 16) + (1 << 15)) >> 16);
  }
}

// `sums` has the three colours of two rows added, with a column repeated at either end: weights 1 2 1 around the even
// column, where left-sited chroma lies, times two rows make 8.
ORRERY_LOOP void chroma_row(const std::vector<int>& sums, int width, std::uint8_t* u, std::uint8_t* v) {
  const int half = 128 << 19, round = 1 << 18;
  for (int x = 0; x < width; ++x) {
    const int* left = &sums[static_cast<std::size_t>(x) * 6];
    const int r = left[0] + 2 * left[3] + left[6];
    const int g = left[1] + 2 * left[4] + left[7];
    const int b = left[2] + 2 * left[5] + left[8];
    u[x] = static_cast<std::uint8_t>((kUr * r + kUg * g + kUb * b + half + round) >> 19);
    v[x] = static_cast<std::uint8_t>((kVr * r + kVg * g + kVb * b + half + round) >> 19);
  }
}

ORRERY_LOOP void to_yuv420p_loop(const Frame& in, AVFrame& out) {
  const int width = in.width(), chroma_width = (out.width + 1) / 2, chroma_height = (out.height + 1) / 2;
  const auto row = [&](int y) { return in.row(std::min(y, in.height() - 1)); };
  for (int y = 0; y < out.height; ++y) {
    std::uint8_t* to = out.data[0] + static_cast<std::ptrdiff_t>(y) * out.linesize[0];
    luma_row(row(y), width, to);
    std::fill(to + width, to + out.width, to[width - 1]);
  }
  std::vector<int> sums(static_cast<std::size_t>(2 * chroma_width + 2) * 3);
  for (int y = 0; y < chroma_height; ++y) {
    const std::uint8_t *upper = row(2 * y), *lower = row(2 * y + 1);
    for (int i = 0; i < 3 * width; ++i) sums[static_cast<std::size_t>(i + 3)] = upper[i] + lower[i];
    for (std::size_t c = 0; c < 3; ++c) {
      sums[c] = sums[3 + c];
      const std::size_t last = static_cast<std::size_t>(width) * 3 + c;
      for (std::size_t i = last + 3; i < sums.size(); i += 3) sums[i] = sums[last];
    }
    chroma_row(sums, chroma_width, out.data[1] + static_cast<std::ptrdiff_t>(y) * out.linesize[1],
               out.data[2] + static_cast<std::ptrdiff_t>(y) * out.linesize[2]);
  }
}

ORRERY_AVX2 void to_yuv420p_avx2(const Frame& in, AVFrame& out) { to_yuv420p_loop(in, out); }
void to_yuv420p(const Frame& in, AVFrame& out) { has_avx2() ? to_yuv420p_avx2(in, out) : to_yuv420p_loop(in, out); }

// 0RGB32 is blue, green, red, nothing on a little-endian machine: the value is 0x00RRGGBB.
void to_rgb32(const Frame& in, AVFrame& out) {
  for (int y = 0; y < out.height; ++y) {
    std::uint8_t* to = out.data[0] + static_cast<std::ptrdiff_t>(y) * out.linesize[0];
    for (int x = 0; x < out.width; ++x, to += 4) {
      const std::uint8_t* from = in.at(std::min(x, in.width() - 1), std::min(y, in.height() - 1));
      const std::uint32_t value = static_cast<std::uint32_t>(from[0]) << 16 | static_cast<std::uint32_t>(from[1]) << 8 |
                                  static_cast<std::uint32_t>(from[2]);
      std::memcpy(to, &value, 4);
    }
  }
}

}  // namespace

void from_rgb(const Frame& in, AVFrame& out) {
  ORRERY_ASSERT(out.width - in.width() <= 1 && out.height - in.height() <= 1, "[video] picture is ", out.width, "x",
                out.height, " for a frame of ", in.width(), "x", in.height());
  if (out.format == AV_PIX_FMT_YUV420P) {
    to_yuv420p(in, out);
  } else {
    ORRERY_ASSERT(out.format == AV_PIX_FMT_0RGB32, "[video] no conversion from RGB to format ", out.format);
    to_rgb32(in, out);
  }
}

}  // namespace orrery::libav
