#include "apps/pipeline/encoder_training.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/ops/elementwise.h"
#include "core/ops/loss.h"
#include "core/ops/matmul.h"
#include "core/ops/reduce.h"
#include "core/ops/shape.h"

namespace orrery::pipeline {

namespace {

// Sums over a hundred values and a dozen marks are worth about what a class is.
constexpr float kMarksWeight = 2, kValuesWeight = 4;

// Share of the rows whose largest logit is the target's, of those that are asked.
double share_right(const Tensor& logits, const Tensor& targets) {
  const std::vector<float> values = logits.to_vector();
  const std::size_t classes = static_cast<std::size_t>(logits.dim(1));
  double right = 0, asked = 0;
  for (std::size_t row = 0; row < static_cast<std::size_t>(logits.dim(0)); ++row) {
    const std::int32_t target = targets.data<std::int32_t>()[row];
    if (target < 0) continue;
    const auto* first = &values[row * classes];
    right += std::max_element(first, first + classes) - first == target ? 1 : 0, asked += 1;
  }
  return asked > 0 ? right / asked : 0;
}

double share_explained(const Tensor& found, const Tensor& wanted) {
  const std::vector<float> a = found.to_vector(), b = wanted.to_vector();
  double left = 0, all = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    left += std::pow(double{a[i]} - double{b[i]}, 2);
    all += std::pow(double{b[i]}, 2);
  }
  return all > 0 ? 1 - left / all : 0;
}

}  // namespace

Tensor clips_of(const Batch& batch) {
  return ops::affine(ops::cast(batch.tensors.at(0), DType::f32), 2.0f / 255.0f, 256.0f / 255.0f - 1.0f);
}

EncoderTraining::EncoderTraining(VideoEncoder& encoder, EncoderTargets targets, Random& random)
    : encoder_(encoder), targets_(targets) {
  const std::int64_t outputs = targets.scenes + targets.breaks + targets.marks + targets.values,
                     dimension = encoder.config().dimension;
  for (const Parameter& parameter : encoder.parameters().all())
    parameters_.add(parameter.name, parameter.value, parameter.kind);
  head_ =
      Tensor::randn({outputs, dimension}, random, static_cast<float>(1 / std::sqrt(static_cast<double>(dimension))));
  head_bias_ = Tensor::zeros({outputs});
  parameters_.add("head", head_, ParameterKind::matrix);
  parameters_.add("head_bias", head_bias_, ParameterKind::vector);
}

StepLoss EncoderTraining::loss(const Batch& batch, std::int64_t, bool) {
  const Device device = head_.device();
  const Tensor clips = clips_of({{batch.tensors.at(0).to(device)}});
  const Tensor answers = ops::linear(encoder_.embed(clips), head_, head_bias_);
  const std::vector<Tensor> parts =
      ops::split(answers, 1, {targets_.scenes, targets_.breaks, targets_.marks, targets_.values});
  const Tensor& classes = batch.tensors.at(1);
  const auto column = [&](std::int64_t which) {
    return ops::contiguous(ops::narrow(classes, 1, which, 1)).reshaped({classes.dim(0)});
  };
  const Tensor scene = column(0), broken = column(1), marks = batch.tensors.at(2).to(device),
               values = batch.tensors.at(3).to(device);
  const auto named = [&](const Tensor& logits, const Tensor& target) {
    return ops::cross_entropy(ops::contiguous(logits), target.to(device)).total;
  };
  // −log of a yes or no's probability.
  const Tensor marked = ops::mean(ops::sub(ops::softplus(parts[2]), ops::mul(parts[2], marks)));
  const Tensor squares = ops::mean(ops::square(ops::sub(parts[3], values)));
  StepLoss result;
  result.loss = ops::add(ops::add(named(parts[0], scene), named(parts[1], broken)),
                         ops::add(ops::scale(marked, kMarksWeight), ops::scale(squares, kValuesWeight)));
  result.metrics = {{"scene", share_right(parts[0].detach(), scene)},
                    {"break", share_right(parts[1].detach(), broken)},
                    {"marks", double{marked.detach().item()}},
                    {"values", share_explained(parts[3].detach(), values)}};
  return result;
}

void EncoderTraining::save(const std::string& folder) const {
  save_encoder(encoder_.answering(head_, head_bias_), folder);
}

}  // namespace orrery::pipeline
