// The codec's network. Everything at the code grid is [N, rows, columns, channels]; norms are RMS norms over channels,
// so no value depends on other positions' statistics and streams equal batches.
#include "video/latent/codec.h"

#include <cmath>
#include <optional>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/norm.h"
#include "core/ops/shape.h"
#include "video/latent/unfold.h"

namespace orrery {

namespace {

Tensor he_matrix(Random& random, Shape shape, std::int64_t fan_in, double gain = 1) {
  return Tensor::randn(std::move(shape), random, static_cast<float>(gain / std::sqrt(static_cast<double>(fan_in))));
}

std::vector<CodecBlock> make_blocks(ParameterList& list, const std::string& prefix, std::int64_t count,
                                    std::int64_t width, std::int64_t kernel, Random& random) {
  std::vector<CodecBlock> blocks;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string name = prefix + std::to_string(i) + ".";
    CodecBlock block;
    block.norm = Tensor::full({width}, 1);
    block.conv = he_matrix(random, {width, kernel * kernel * width}, kernel * kernel * width);
    block.conv_bias = Tensor::zeros({width});
    block.project = he_matrix(random, {width, width}, width, 0.3);
    block.project_bias = Tensor::zeros({width});
    list.add(name + "norm", block.norm, ParameterKind::vector);
    list.add(name + "conv", block.conv, ParameterKind::matrix);
    list.add(name + "conv_bias", block.conv_bias, ParameterKind::vector);
    list.add(name + "project", block.project, ParameterKind::matrix);
    list.add(name + "project_bias", block.project_bias, ParameterKind::vector);
    blocks.push_back(block);
  }
  return blocks;
}

// [N, T, R·p, C·p, 3] → [N, R, C, T·p·p·3]
Tensor patches(const Tensor& chunks, std::int64_t p) {
  const std::int64_t n = chunks.dim(0), t = chunks.dim(1), rows = chunks.dim(2) / p, columns = chunks.dim(3) / p;
  // (T, R, p, C, p·3) → (R, C, T, p, p·3): at most six dimensions with N.
  const Tensor split = ops::reshape(chunks, {n, t, rows, p, columns, p * 3});
  return ops::reshape(ops::permute(split, {0, 2, 4, 1, 3, 5}), {n, rows, columns, t * p * p * 3});
}

// The inverse of patches().
Tensor unpatch(const Tensor& x, std::int64_t t, std::int64_t p) {
  const std::int64_t n = x.dim(0), rows = x.dim(1), columns = x.dim(2);
  const Tensor split = ops::reshape(x, {n, rows, columns, t, p, p * 3});
  return ops::reshape(ops::permute(split, {0, 3, 1, 4, 2, 5}), {n, t, rows * p, columns * p, 3});
}

// Doubles the grid: [N, R, C, 4·w] → [N, 2R, 2C, w].
Tensor widen_grid(const Tensor& x) {
  const std::int64_t n = x.dim(0), rows = x.dim(1), columns = x.dim(2), w = x.dim(3) / 4;
  const Tensor split = ops::reshape(x, {n, rows, columns, 2, 2, w});
  return ops::reshape(ops::permute(split, {0, 1, 3, 2, 4, 5}), {n, 2 * rows, 2 * columns, w});
}

}  // namespace

LatentCodec::LatentCodec(CodecConfig config, Random& random) : config_(std::move(config)) {
  config_.validate();
  const CodecConfig& c = config_;
  const std::int64_t pixels = c.time_factor * c.space_factor * c.space_factor * 3,
                     dims = static_cast<std::int64_t>(c.levels.size());
  const std::int64_t fine_pixels = pixels / 4;
  const auto linear = [&](const std::string& name, Tensor& weight, Tensor& bias, std::int64_t out, std::int64_t in) {
    weight = he_matrix(random, {out, in}, in);
    bias = Tensor::zeros({out});
    parameters_.add(name, weight, ParameterKind::matrix);
    parameters_.add(name + "_bias", bias, ParameterKind::vector);
  };
  const auto norm = [&](const std::string& name, Tensor& weight, std::int64_t width) {
    weight = Tensor::full({width}, 1);
    parameters_.add(name, weight, ParameterKind::vector);
  };
  linear("encoder.patch", patch_, patch_bias_, c.width, pixels);
  encoder_ = make_blocks(parameters_, "encoder.blocks.", c.encoder_blocks, c.width, c.encoder_kernel, random);
  norm("encoder.norm", encoder_norm_, c.width);
  linear("encoder.to_latent", to_latent_, to_latent_bias_, dims, c.width);
  linear("decoder.from_latent", from_latent_, from_latent_bias_, c.width, dims * (1 + c.history));
  decoder_ = make_blocks(parameters_, "decoder.blocks.", c.decoder_blocks, c.width, 3, random);
  norm("decoder.norm", decoder_norm_, c.width);
  linear("decoder.refine", refine_, refine_bias_, 4 * c.fine_width, c.width);
  fine_ = make_blocks(parameters_, "decoder.fine.", c.fine_blocks, c.fine_width, 3, random);
  norm("decoder.fine_norm", fine_norm_, c.fine_width);
  linear("decoder.to_pixels", to_pixels_, to_pixels_bias_, fine_pixels, c.fine_width);
  // What may be added to a trained codec starts as nothing, so that it goes on from where it was.
  if (c.detail_width > 0) {
    linear("decoder.detail", detail_, detail_bias_, c.detail_width, c.fine_width);
    linear("decoder.detail_to_pixels", detail_to_pixels_, detail_to_pixels_bias_, fine_pixels, c.detail_width);
    detail_to_pixels_.copy_from(Tensor::zeros(detail_to_pixels_.shape()));
  }
  if (const auto extra = static_cast<std::int64_t>(c.extra_levels.size()); extra > 0) {
    linear("encoder.extra_patch", extra_patch_, extra_patch_bias_, c.extra_width, pixels);
    extra_ = make_blocks(parameters_, "encoder.extra.", c.extra_blocks, c.extra_width, 1, random);
    norm("encoder.extra_norm", extra_norm_, c.extra_width);
    linear("encoder.to_extra", to_extra_, to_extra_bias_, extra, c.extra_width);
    from_extra_ = Tensor::zeros({c.width, extra * (1 + c.history)});
    parameters_.add("decoder.from_extra", from_extra_, ParameterKind::matrix);
  }
}

Tensor LatentCodec::trunk(Tensor x, const std::vector<CodecBlock>& blocks) const {
  for (const CodecBlock& block : blocks) {
    const Tensor normed = ops::rms_norm(x, block.norm);
    const bool wide = block.conv.dim(1) != x.dim(3);
    const Tensor inner = ops::linear(wide ? unfold3x3(normed) : normed, block.conv, block.conv_bias, Activation::gelu);
    x = ops::add(x, ops::linear(inner, block.project, block.project_bias));
  }
  return x;
}

Tensor LatentCodec::encode(const Tensor& chunks, bool extra_only) const {
  ORRERY_CHECK(chunks.rank() == 5 && chunks.dim(1) == config_.time_factor &&
                   chunks.dim(2) % config_.space_factor == 0 && chunks.dim(3) % config_.space_factor == 0 &&
                   chunks.dim(4) == 3,
               "[codec] chunks are ", to_string(chunks.shape()), ", expected [N, ", config_.time_factor,
               ", H, W, 3] with H and W divisible by ", config_.space_factor);
  const Tensor pixels = patches(ops::cast(chunks, compute), config_.space_factor);
  const auto latents = [&](const Tensor& x, const std::vector<CodecBlock>& blocks, const Tensor& norm,
                           const Tensor& to_latent, const Tensor& bias) {
    const Tensor features = ops::rms_norm(trunk(x, blocks), norm);
    return ops::linear(ops::cast(features, DType::f32), to_latent, bias);
  };
  Tensor first;
  {
    std::optional<NoGrad> guard;
    if (extra_only) guard.emplace();
    first = latents(ops::linear(pixels, patch_, patch_bias_), encoder_, encoder_norm_, to_latent_, to_latent_bias_);
  }
  if (extra_.empty()) return first;
  const Tensor extra =
      latents(ops::linear(pixels, extra_patch_, extra_patch_bias_), extra_, extra_norm_, to_extra_, to_extra_bias_);
  return ops::concat({extra_only ? first.detach() : first, extra}, 3);
}

// The decoder's first layer, which sees the latents and `history` earlier ones.
Tensor LatentCodec::first_layer(const Tensor& quantized, const Tensor& history) const {
  const auto dims = static_cast<std::int64_t>(config_.levels.size()),
             extra = static_cast<std::int64_t>(config_.extra_levels.size());
  const auto seen = [&](std::int64_t from, std::int64_t count) {
    std::vector<Tensor> parts{ops::narrow(quantized, 3, from, count)};
    for (std::int64_t i = 0; i < config_.history; ++i)
      parts.push_back(ops::narrow(history, 3, i * (dims + extra) + from, count));
    return ops::cast(ops::concat(parts, 3), compute);
  };
  const Tensor x = ops::linear(seen(0, dims), from_latent_, from_latent_bias_);
  return extra == 0 ? x : ops::add(x, ops::linear(seen(dims, extra), from_extra_));
}

Tensor LatentCodec::decode(const Tensor& quantized, const Tensor& history) const {
  const Tensor x = first_layer(quantized, history);
  const Tensor coarse = ops::rms_norm(trunk(x, decoder_), decoder_norm_);
  const Tensor finer = trunk(widen_grid(ops::linear(coarse, refine_, refine_bias_)), fine_);
  const Tensor fine = ops::rms_norm(finer, fine_norm_);
  Tensor pixels = ops::linear(fine, to_pixels_, to_pixels_bias_);
  if (detail_.defined()) {
    const Tensor detail = ops::linear(fine, detail_, detail_bias_, Activation::gelu);
    pixels = ops::add(pixels, ops::linear(detail, detail_to_pixels_, detail_to_pixels_bias_));
  }
  return ops::cast(unpatch(pixels, config_.time_factor, config_.space_factor / 2), DType::f32);
}

}  // namespace orrery
