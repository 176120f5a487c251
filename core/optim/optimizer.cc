#include "core/optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "core/autograd/autograd.h"
#include "core/io/fields.h"
#include "core/ops/backends.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/reduce.h"
#include "kernels/api/optimizer.h"

namespace orrery {

namespace {

// Momentum with Nesterov look-ahead, orthogonalised, with an update RMS of 0.18. A stack of matrices [E, rows, columns]
// is E matrices.
void muon_step(const Tensor& value, const Tensor& grad, const Tensor& momentum, float lr, float beta, float decay,
               float scale) {
  const std::int64_t columns = value.dim(-1), rows = value.dim(-2), count = value.numel() / (rows * columns);
  const float rms_scale = 0.18f * std::sqrt(static_cast<float>(std::max(rows, columns)));
  for (std::int64_t e = 0; e < count; ++e) {
    const auto matrix = [&](const Tensor& x) { return x.alias({rows, columns}, {columns, 1}, e * rows * columns); };
    const Tensor look_ahead = Tensor::empty({rows, columns}, DType::f32, value.device());
    ops::run(MuonMomentumArgs{matrix(grad).view(), matrix(momentum).view(), look_ahead.view(), beta, scale});
    ops::run(MuonUpdateArgs{matrix(value).view(), orthogonalize(look_ahead).view(), lr, rms_scale, decay});
  }
}

}  // namespace

OptimizerConfig read_optimizer_config(const Fields& fields) {
  OptimizerConfig config;
  if (!fields.has("optimizer")) return config;
  const Fields table = fields.object("optimizer");
  config.lr = table.number_or("lr", config.lr, {0, 10});
  config.beta1 = table.number_or("beta1", config.beta1, {0, 1});
  config.beta2 = table.number_or("beta2", config.beta2, {0, 1});
  config.eps = table.number_or("eps", config.eps, {0, 1});
  config.weight_decay = table.number_or("weight_decay", config.weight_decay, {0, 10});
  config.muon = table.choice_or("method", {"adamw", "muon"}, "adamw") == "muon";
  config.muon_momentum = table.number_or("muon_momentum", config.muon_momentum, {0, 1});
  return config;
}

Tensor orthogonalize(const Tensor& matrix) {
  const NoGrad guard;
  const bool tall = matrix.dim(0) > matrix.dim(1);
  const auto transposed = [](const Tensor& x) {
    return x.alias({x.dim(1), x.dim(0)}, {x.strides()[1], x.strides()[0]}, 0);
  };
  Tensor x = tall ? transposed(matrix).clone() : matrix.clone();
  x = ops::scale(x, static_cast<float>(1 / (ops::norm({x}) + 1e-7)));
  for (int i = 0; i < 10; ++i) {
    const float a = i < 8 ? 3.4445f : 2.0f, b = i < 8 ? -4.7750f : -1.5f, c = i < 8 ? 2.0315f : 0.5f;
    const Tensor gram = ops::matmul(x, transposed(x));
    const Tensor mixed = ops::add(ops::scale(gram, b), ops::scale(ops::matmul(gram, gram), c));
    x = ops::add(ops::scale(x, a), ops::matmul(mixed, x));
  }
  return tall ? transposed(x).clone() : x;
}

Optimizer::Optimizer(const ParameterList& parameters, OptimizerConfig config)
    : parameters_(parameters), config_(config), steps_(Tensor::zeros({1}, DType::i32)) {
  for (const Parameter& item : parameters.all()) {
    const bool trained = item.kind != ParameterKind::buffer;
    const bool matrix = item.kind == ParameterKind::matrix && item.value.rank() >= 2;
    first_.push_back(trained ? Tensor::zeros_like(item.value) : Tensor());
    second_.push_back(trained && !(config.muon && matrix) ? Tensor::zeros_like(item.value) : Tensor());
  }
}

double gradient_norm(const ParameterList& parameters) {
  std::vector<Tensor> grads;
  for (const Parameter& item : parameters.all())
    if (const Tensor grad = item.value.grad(); grad.defined()) grads.push_back(grad);
  return ops::norm(grads);
}

double Optimizer::step(double factor, double clip_norm) {
  const double norm = gradient_norm(parameters_);
  const double scale = clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1;
  const std::int32_t count = ++steps_.data<std::int32_t>()[0];
  AdamWArgs adam;
  adam.lr = static_cast<float>(config_.lr * factor);
  adam.beta1 = static_cast<float>(config_.beta1);
  adam.beta2 = static_cast<float>(config_.beta2);
  adam.eps = static_cast<float>(config_.eps);
  adam.correction1 = static_cast<float>(1 / (1 - std::pow(config_.beta1, count)));
  adam.correction2 = static_cast<float>(1 / (1 - std::pow(config_.beta2, count)));
  adam.scale = static_cast<float>(scale);
  const auto& items = parameters_.all();
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Tensor grad = items[i].value.grad();
    if (!grad.defined() || !first_[i].defined()) continue;
    const auto decay = static_cast<float>(items[i].kind == ParameterKind::vector ? 0 : config_.weight_decay);
    if (second_[i].defined()) {
      adam.value = items[i].value.view();
      adam.grad = grad.view();
      adam.first = first_[i].view();
      adam.second = second_[i].view();
      adam.decay = decay;
      ops::run(adam);
    } else {
      muon_step(items[i].value, grad, first_[i], adam.lr, static_cast<float>(config_.muon_momentum), decay, adam.scale);
    }
  }
  return norm;
}

void Optimizer::append_state(std::vector<NamedTensor>& tensors) const {
  const auto& items = parameters_.all();
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (first_[i].defined()) tensors.push_back({"moment1." + items[i].name, first_[i]});
    if (second_[i].defined()) tensors.push_back({"moment2." + items[i].name, second_[i]});
  }
  tensors.push_back({"optimizer.step", steps_});
}

void Optimizer::load_state(const TensorFile& state) {
  const auto& items = parameters_.all();
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (first_[i].defined()) state.load_into("moment1." + items[i].name, first_[i]);
    if (second_[i].defined()) state.load_into("moment2." + items[i].name, second_[i]);
  }
  state.load_into("optimizer.step", steps_);
}

void update_averages(const ParameterList& parameters, const std::vector<Tensor>& averages, float decay) {
  const auto& items = parameters.all();
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].value.dtype() == DType::i32) {
      Tensor(averages[i]).copy_from(items[i].value);
      continue;
    }
    ops::run(AverageArgs{averages[i].view(), items[i].value.view(), decay});
  }
}

}  // namespace orrery
