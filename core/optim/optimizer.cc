#include "core/optim/optimizer.h"

#include <cmath>

#include "core/autograd/autograd.h"
#include "core/base/parallel.h"
#include "core/io/fields.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"

namespace orrery {

namespace {

constexpr std::int64_t kGrain = 1 << 14;

struct AdamStep {
  float lr, beta1, beta2, eps, decay, correction1, correction2, scale;
};

void adam_update(const Tensor& value, const Tensor& grad, const Tensor& first, const Tensor& second,
                 const AdamStep& s) {
  float *w = value.data<float>(), *m = first.data<float>(), *v = second.data<float>();
  const float* g = grad.data<float>();
  parallel_for(value.numel(), kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float gradient = g[i] * s.scale;
      m[i] = s.beta1 * m[i] + (1 - s.beta1) * gradient;
      v[i] = s.beta2 * v[i] + (1 - s.beta2) * gradient * gradient;
      const float step = (m[i] * s.correction1) / (std::sqrt(v[i] * s.correction2) + s.eps);
      w[i] -= s.lr * (step + s.decay * w[i]);
    }
  });
}

// Momentum with Nesterov look-ahead, orthogonalised, with an update RMS of 0.18. A stack of matrices [E, rows, columns]
// is E matrices.
void muon_update(const Tensor& value, const Tensor& grad, const Tensor& momentum, float lr, float beta, float decay,
                 float scale) {
  const std::int64_t columns = value.dim(-1), rows = value.dim(-2), count = value.numel() / (rows * columns);
  for (std::int64_t e = 0; e < count; ++e) {
    const std::int64_t at = e * rows * columns;
    float *w = value.data<float>() + at, *m = momentum.data<float>() + at;
    const float* g = grad.data<float>() + at;
    const Tensor look_ahead = Tensor::empty({rows, columns});
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      m[i] = beta * m[i] + g[i] * scale;
      look_ahead.data<float>()[i] = g[i] * scale + beta * m[i];
    }
    const Tensor update = orthogonalize(look_ahead);
    const float rms_scale = 0.18f * std::sqrt(static_cast<float>(std::max(rows, columns)));
    const float* u = update.data<float>();
    for (std::int64_t i = 0; i < rows * columns; ++i) w[i] -= lr * (rms_scale * u[i] + decay * w[i]);
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
  double squares = 0;
  for (const float value : x.span<float>()) squares += double{value} * value;
  const auto inverse = static_cast<float>(1 / (std::sqrt(squares) + 1e-7));
  for (float& value : x.span<float>()) value *= inverse;
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
  double squares = 0;
  for (const Parameter& item : parameters.all()) {
    const Tensor grad = item.value.grad();
    if (!grad.defined()) continue;
    const float* g = grad.data<float>();
    const std::int64_t blocks = (grad.numel() + kGrain - 1) / kGrain;
    std::vector<double> partial(static_cast<std::size_t>(blocks), 0.0);
    parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        const std::int64_t last = std::min(grad.numel(), (block + 1) * kGrain);
        double sum = 0;
        for (std::int64_t i = block * kGrain; i < last; ++i) sum += double{g[i]} * g[i];
        partial[static_cast<std::size_t>(block)] = sum;
      }
    });
    for (const double sum : partial) squares += sum;
  }
  return std::sqrt(squares);
}

double Optimizer::step(double factor, double clip_norm) {
  const double norm = gradient_norm(parameters_);
  const double scale = clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1;
  const std::int32_t count = ++steps_.data<std::int32_t>()[0];
  AdamStep adam{};
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
      adam.decay = decay;
      adam_update(items[i].value, grad, first_[i], second_[i], adam);
    } else {
      muon_update(items[i].value, grad, first_[i], adam.lr, static_cast<float>(config_.muon_momentum), decay,
                  adam.scale);
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
    if (items[i].kind == ParameterKind::buffer) {
      Tensor(averages[i]).copy_from(items[i].value);
      continue;
    }
    float* average = averages[i].data<float>();
    const float* value = items[i].value.data<float>();
    parallel_for(items[i].value.numel(), kGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) average[k] = decay * average[k] + (1 - decay) * value[k];
    });
  }
}

}  // namespace orrery
