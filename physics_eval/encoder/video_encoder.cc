#include "physics_eval/encoder/video_encoder.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/autograd/autograd.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/io/fields.h"
#include "core/io/files.h"
#include "core/io/parameters_file.h"
#include "core/ops/conv.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/norm.h"
#include "core/ops/reduce.h"
#include "core/ops/shape.h"

namespace orrery {

namespace {

constexpr std::int64_t kLevels = 3, kHalvings = 4;

struct IntegerField {
  const char* name;
  std::int64_t EncoderConfig::*member;
};
constexpr IntegerField kFields[] = {
    {"frames", &EncoderConfig::frames},
    {"side", &EncoderConfig::side},
    {"cell_width", &EncoderConfig::cell_width},
    {"dimension", &EncoderConfig::dimension},
};

// How a level makes its grid from the one before: kernel, step and zeros around for time, rows and columns.
struct Shrinking {
  std::vector<std::int64_t> kernel, stride, padding;
};
const Shrinking& shrinking(std::int64_t level) {
  static const Shrinking kAll[kLevels] = {{{2, 6, 6}, {2, 4, 4}, {0, 1, 1}},  // neighbours overlap by a pixel
                                          {{1, 2, 2}, {1, 2, 2}, {0, 0, 0}},
                                          {{2, 2, 2}, {2, 2, 2}, {0, 0, 0}}};
  return kAll[level];
}

}  // namespace

void EncoderConfig::validate() const {
  ORRERY_CHECK(frames >= 4 && frames % 4 == 0 && frames <= 1024, "[encoder] frames is ", frames,
               ", expected a multiple of 4");
  ORRERY_CHECK(side >= 16 && side % 16 == 0 && side <= 1024, "[encoder] side is ", side, ", expected a multiple of 16");
  ORRERY_CHECK(widths.size() == kLevels, "[encoder] widths has ", widths.size(), " entries, expected ", kLevels);
  for (const std::int64_t width : widths)
    ORRERY_CHECK(width >= 1 && width <= 4096, "[encoder] a width is ", width, ", expected 1 to 4096");
  ORRERY_CHECK(cell_width >= 1 && cell_width <= 4096 && dimension >= 1 && dimension <= 4096, "[encoder] cell_width is ",
               cell_width, " and dimension ", dimension, ", expected 1 to 4096");
}

EncoderConfig parse_encoder_config(const std::string& json_text, const std::string& source) {
  const Json json = Json::parse(json_text, source);
  const Fields fields(json, source);
  EncoderConfig config;
  for (const IntegerField& field : kFields) config.*field.member = fields.integer_or(field.name, config.*field.member);
  if (fields.has("widths")) config.widths = fields.integers("widths");
  fields.refuse_unknown();
  config.validate();
  return config;
}

std::string to_json(const EncoderConfig& config) {
  Json json = Json::object();
  for (const IntegerField& field : kFields) json.set(field.name, config.*field.member);
  json.set("widths", Json(config.widths));
  return json.dump(2) + "\n";
}

VideoEncoder::VideoEncoder(EncoderConfig config, Random& random) : config_(std::move(config)) {
  config_.validate();
  const auto weight = [&](const std::string& name, Shape shape, double gain) {
    std::int64_t inputs = 1;
    for (std::size_t d = 1; d < shape.size(); ++d) inputs *= shape[d];
    const Tensor made =
        Tensor::randn(std::move(shape), random, static_cast<float>(gain / std::sqrt(static_cast<double>(inputs))));
    parameters_.add(name, made, ParameterKind::matrix);
    return made;
  };
  const auto vector = [&](const std::string& name, std::int64_t size, float value) {
    const Tensor made = Tensor::full({size}, value);
    parameters_.add(name, made, ParameterKind::vector);
    return made;
  };
  std::int64_t inputs = 3;
  for (std::int64_t l = 0; l < kLevels; ++l) {
    const std::string name = "levels." + std::to_string(l) + ".";
    const std::int64_t width = config_.widths[static_cast<std::size_t>(l)];
    const std::vector<std::int64_t>& kernel = shrinking(l).kernel;
    Level level;
    level.weight = weight(name + "shrink", {width, kernel[0], kernel[1], kernel[2], inputs}, 1);
    level.bias = vector(name + "shrink_bias", width, 0);
    level.block.norm = vector(name + "norm", width, 1);
    level.block.space = weight(name + "space", {width, 1, 3, 3, width}, 1);
    level.block.space_bias = vector(name + "space_bias", width, 0);
    level.block.time = weight(name + "time", {width, 3, 1, 1, width}, 0.5);
    level.block.time_bias = vector(name + "time_bias", width, 0);
    levels_.push_back(level);
    inputs = width;
  }
  const std::int64_t cells = (config_.side >> kHalvings) * (config_.side >> kHalvings);
  norm_ = vector("norm", inputs, 1);
  cell_ = weight("cell", {config_.cell_width, inputs}, 1);
  cell_bias_ = vector("cell_bias", config_.cell_width, 0);
  out_ = weight("out", {config_.dimension, 2 * cells * config_.cell_width}, 1);
  out_bias_ = vector("out_bias", config_.dimension, 0);
}

Tensor VideoEncoder::embed(const Tensor& clips) const {
  const std::int64_t side = config_.side;
  ORRERY_CHECK(clips.rank() == 5 && clips.dim(1) == config_.frames && clips.dim(2) == side && clips.dim(3) == side &&
                   clips.dim(4) == 3,
               "[encoder] clips are ", to_string(clips.shape()), ", expected [N, ", config_.frames, ", ", side, ", ",
               side, ", 3]");
  Tensor x = clips;
  for (std::int64_t l = 0; l < kLevels; ++l) {
    const Level& level = levels_[static_cast<std::size_t>(l)];
    x = ops::conv3d(x, level.weight, level.bias, {shrinking(l).stride, shrinking(l).padding, {1}});
    const Block& b = level.block;
    const Tensor space = ops::gelu(ops::conv3d(ops::rms_norm(x, b.norm), b.space, b.space_bias, {{1}, {0, 1, 1}, {1}}));
    x = ops::add(x, ops::gelu(ops::conv3d(space, b.time, b.time_bias, {{1}, {1, 0, 0}, {1}})));
  }
  const Tensor cells = ops::linear(ops::rms_norm(x, norm_), cell_, cell_bias_, Activation::gelu);
  const std::int64_t n = clips.dim(0), values = cells.numel() / n / cells.dim(1);
  const Tensor flat = ops::reshape(cells, {n, cells.dim(1), values});
  return ops::linear(ops::concat({ops::mean(flat, {1}), ops::max(flat, {1})}, 1), out_, out_bias_);
}

std::vector<double> VideoEncoder::describe(std::span<const Frame> frames) const {
  const auto count = static_cast<std::int64_t>(frames.size());
  ORRERY_CHECK(count >= config_.frames, "[encoder] a clip of ", count, " frames, expected at least ", config_.frames);
  for (const Frame& frame : frames)
    ORRERY_CHECK(frame.width() == config_.side && frame.height() == config_.side, "[encoder] a frame is ",
                 frame.width(), "x", frame.height(), ", expected ", config_.side, "x", config_.side);
  std::vector<std::int64_t> starts;
  for (std::int64_t at = 0; at + config_.frames < count; at += config_.frames / 2) starts.push_back(at);
  starts.push_back(count - config_.frames);
  const NoGrad guard;
  const auto window = static_cast<std::size_t>(config_.frames);
  std::vector<double> sum(static_cast<std::size_t>(config_.dimension), 0.0);
  // A few windows at a time: the memory of a long clip stays small.
  constexpr std::size_t kTogether = 8;
  for (std::size_t first = 0; first < starts.size(); first += kTogether) {
    const std::size_t some = std::min(kTogether, starts.size() - first);
    const Tensor clips =
        Tensor::empty({static_cast<std::int64_t>(some), config_.frames, config_.side, config_.side, 3});
    float* to = clips.data<float>();
    for (std::size_t w = first; w < first + some; ++w)
      for (const Frame& frame : frames.subspan(static_cast<std::size_t>(starts[w]), window))
        for (const std::uint8_t byte : frame.bytes()) *to++ = static_cast<float>(byte) / 127.5f - 1.0f;
    const std::vector<float> vectors = embed(clips).to_vector();
    for (std::size_t i = 0; i < vectors.size(); ++i) sum[i % sum.size()] += static_cast<double>(vectors[i]);
  }
  for (double& value : sum) value /= static_cast<double>(starts.size());
  return sum;
}

VideoEncoder VideoEncoder::answering(const Tensor& head, const Tensor& bias) const {
  const NoGrad guard;
  EncoderConfig config = config_;
  config.dimension = head.dim(0);
  Random unused(0);
  VideoEncoder out(config, unused);
  for (const Parameter& parameter : parameters_.all()) {
    Tensor to = out.parameters_.find(parameter.name)->value;
    if (to.shape() == parameter.value.shape()) to.copy_from(parameter.value);
  }
  out.out_.copy_from(ops::matmul(head, out_));
  out.out_bias_.copy_from(
      ops::linear(ops::reshape(out_bias_, {1, config_.dimension}), head, bias).reshaped({head.dim(0)}));
  return out;
}

void VideoEncoder::standardise(const Tensor& vectors) {
  const auto d = static_cast<std::size_t>(config_.dimension), n = static_cast<std::size_t>(vectors.dim(0));
  ORRERY_CHECK(n >= 2, "[encoder] ", n, " vectors, expected at least 2");
  const std::vector<float> values = vectors.to_vector();
  std::vector<double> mean(d, 0.0), square(d, 0.0);
  for (std::size_t i = 0; i < n * d; ++i) mean[i % d] += double{values[i]} / static_cast<double>(n);
  for (std::size_t i = 0; i < n * d; ++i)
    square[i % d] += std::pow(double{values[i]} - mean[i % d], 2) / static_cast<double>(n - 1);
  const auto inputs = static_cast<std::size_t>(out_.dim(1));
  for (std::size_t i = 0; i < d; ++i) {
    const double scale = 1 / std::sqrt(square[i] + 1e-6);  // what never varies stays small
    float& bias = out_bias_.data<float>()[i];
    bias = static_cast<float>((double{bias} - mean[i]) * scale);
    float* weight = out_.data<float>() + i * inputs;
    for (std::size_t c = 0; c < inputs; ++c) weight[c] = static_cast<float>(double{weight[c]} * scale);
  }
}

void save_encoder(const VideoEncoder& encoder, const std::string& folder) {
  const std::filesystem::path path(folder);
  write_file(path / "encoder.json", to_json(encoder.config()));
  save_parameters((path / "encoder.safetensors").string(), encoder.parameters(), StoredAs::bf16);
}

VideoEncoder load_encoder(const std::string& folder) {
  const std::filesystem::path path(folder);
  const std::string config_path = (path / "encoder.json").string();
  Random unused(0);
  VideoEncoder encoder(parse_encoder_config(read_file(config_path), config_path), unused);
  load_parameters((path / "encoder.safetensors").string(), encoder.parameters());
  return encoder;
}

}  // namespace orrery
