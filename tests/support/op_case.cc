#include "tests/support/op_case.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/autograd/autograd.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "tests/support/catch.h"
#include "tests/support/device_under_test.h"

namespace orrery::test {

namespace {

constexpr double kEpsilonF32 = 0x1p-24, kSpacingBf16 = 0x1p-7;

double tolerance_scale() {
  const char* text = std::getenv("ORRERY_TOL_SCALE");
  return text ? std::atof(text) : 1.0;
}

bool floating(const Tensor& x) { return x.dtype() == DType::f32 || x.dtype() == DType::bf16; }

double spacing(DType dtype) { return dtype == DType::bf16 ? kSpacingBf16 : 2 * kEpsilonF32; }

double tolerance_of(const OpCase& op, DType dtype, bool is_gradient) {
  // A gradient of an op on bf16 is rounded to bf16 on its way even where it ends as f32.
  DType coarsest = dtype;
  for (const Tensor& input : op.inputs)
    if (input.defined() && input.dtype() == DType::bf16) coarsest = DType::bf16;
  const double once = op.roundings * spacing(is_gradient ? coarsest : dtype) +
                      2 * std::sqrt(static_cast<double>(op.depth)) * kEpsilonF32;
  return is_gradient ? 2 * once : once;
}

bool differentiated(const OpCase& op, std::size_t input) {
  return op.gradient && op.inputs[input].defined() && floating(op.inputs[input]) &&
         std::find(op.constant.begin(), op.constant.end(), static_cast<int>(input)) == op.constant.end();
}

// The same values with the same strides in memory of its own.
Tensor same_layout(const Tensor& x, const std::vector<float>& values) {
  std::int64_t extent = 1;
  for (int d = 0; d < x.rank(); ++d)
    extent += std::max<std::int64_t>(0, x.dim(d) - 1) * x.strides()[static_cast<std::size_t>(d)];
  Tensor copy = Tensor::zeros({extent}, x.dtype()).alias(x.shape(), x.strides(), 0);
  copy.copy_from(Tensor::from(values, x.shape()).to(x.dtype()));
  return copy;
}

// The inputs, those to differentiate as leaves.
std::vector<Tensor> leaves_of(const OpCase& op) {
  std::vector<Tensor> inputs = op.inputs;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!differentiated(op, i)) continue;
    inputs[i] = op.inputs[i].detach();
    inputs[i].set_requires_grad(true);
  }
  return inputs;
}

Tensor seed_for(const Tensor& output, std::size_t index) {
  Random random(91, index);
  return Tensor::randn(output.shape(), random).to(output.dtype());
}

double weighted_sum(const std::vector<Tensor>& outputs, const std::vector<bool>& recorded) {
  double sum = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!recorded[i]) continue;
    const auto values = outputs[i].to_vector(), seeds = seed_for(outputs[i], i).to_vector();
    for (std::size_t j = 0; j < values.size(); ++j) sum += double{values[j]} * double{seeds[j]};
  }
  return sum;
}

// How far rounding alone can move the weighted sum: each output by its tolerance, independent of each other.
double weighted_sum_noise(const OpCase& op, const std::vector<Tensor>& outputs, const std::vector<bool>& recorded) {
  double squares = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!recorded[i]) continue;
    double largest = 0;
    for (const float value : outputs[i].to_vector()) largest = std::max(largest, std::abs(double{value}));
    const double each = tolerance_of(op, DType::f32, false) * largest;
    for (const float seed : seed_for(outputs[i], i).to_vector()) squares += each * each * double{seed} * double{seed};
  }
  return std::sqrt(squares);
}

void report_or_check(const std::string& what, double residual, double tolerance) {
  const double scale = tolerance_scale();
  if (scale == 0) {
    std::fprintf(stderr, "%-60s residual / tolerance %8.4f (tolerance %.3g)\n", what.c_str(),
                 tolerance > 0 ? residual / tolerance : 0.0, tolerance);
    return;
  }
  INFO(what << ": residual " << residual << ", tolerance " << tolerance * scale);
  CHECK(residual <= tolerance * scale);
}

// Along one direction: (L(x + hv) − L(x − hv)) / 2h for h and 2h, and what their difference says of the truncation.
void check_direction(const OpCase& op, std::size_t input, const std::vector<float>& gradient,
                     const std::vector<float>& direction, double noise, const std::vector<bool>& recorded) {
  const std::vector<float> base = op.inputs[input].to_vector();
  const auto loss_at = [&](double step) {
    std::vector<float> moved = base;
    for (std::size_t i = 0; i < moved.size(); ++i)
      moved[i] = static_cast<float>(double{base[i]} + step * double{direction[i]});
    std::vector<Tensor> inputs = op.inputs;
    inputs[input] = same_layout(op.inputs[input], moved);
    const NoGrad guard;
    return weighted_sum(op.run(inputs), recorded);
  };
  const double h = op.step;
  const double near = (loss_at(h) - loss_at(-h)) / (2 * h), far = (loss_at(2 * h) - loss_at(-2 * h)) / (4 * h);
  double slope = 0, length = 0;
  for (std::size_t i = 0; i < base.size(); ++i) {
    slope += double{gradient[i]} * double{direction[i]};
    length += std::abs(double{gradient[i]} * double{direction[i]});
  }
  // near is off by t, far by 4t (t the cubic term): the extrapolated value keeps less than t. The inputs themselves are
  // rounded, which moves the loss by ε·|gradient|.
  const double extrapolated = near + (near - far) / 3;
  const double tolerance =
      std::abs(near - far) / 3 + 2 * noise / h + kEpsilonF32 * length / h + tolerance_of(op, DType::f32, true) * length;
  report_or_check(op.name + " d/d input " + std::to_string(input), std::abs(extrapolated - slope), tolerance);
}

void check_finite_differences(const OpCase& op, const std::vector<Tensor>& results, std::size_t output_count) {
  const ForcedKernel reference("*=reference");
  const std::vector<Tensor> outputs = op.run(leaves_of(op));
  std::vector<bool> recorded;  // an output beside the tape (a token's own loss) has no part in the gradient
  for (const Tensor& output : outputs) recorded.push_back(output.requires_grad());
  const double noise = weighted_sum_noise(op, outputs, recorded);
  std::size_t next = output_count;
  for (std::size_t input = 0; input < op.inputs.size(); ++input) {
    if (!differentiated(op, input)) continue;
    const Tensor gradient_tensor = results[next++];
    const std::size_t size = static_cast<std::size_t>(op.inputs[input].numel());
    if (size == 0) continue;
    INFO(op.name << " input " << input << " has a gradient");
    REQUIRE(gradient_tensor.defined());
    const std::vector<float> gradient = gradient_tensor.to_vector();
    Random random(17, input);
    std::vector<float> dense(size);
    for (float& value : dense) value = static_cast<float>(random.normal());
    check_direction(op, input, gradient, dense, noise, recorded);
    for (int probe = 0; probe < 3; ++probe) {
      std::vector<float> single(size, 0.0f);
      single[static_cast<std::size_t>(random.below(size))] = 1.0f;
      check_direction(op, input, gradient, single, noise, recorded);
    }
  }
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  const Tensor x = a.clone(), y = b.clone();
  return std::memcmp(x.raw(), y.raw(), static_cast<std::size_t>(x.bytes())) == 0;
}

}  // namespace

ForcedKernel::ForcedKernel(const char* value) : had_(std::getenv("ORRERY_KERNEL") != nullptr) {
  if (had_) previous_ = std::getenv("ORRERY_KERNEL");
  setenv("ORRERY_KERNEL", value, 1);
}
ForcedKernel::~ForcedKernel() { had_ ? setenv("ORRERY_KERNEL", previous_.c_str(), 1) : unsetenv("ORRERY_KERNEL"); }

Threads::Threads(int threads) : previous_(thread_count()) { set_thread_count(threads); }
Threads::~Threads() { set_thread_count(previous_); }

std::vector<Tensor> outputs_and_gradients(const OpCase& op) {
  const std::vector<Tensor> inputs = leaves_of(op);
  std::vector<Tensor> wanted;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (differentiated(op, i)) wanted.push_back(inputs[i]);
  const std::vector<Tensor> outputs = op.run(inputs);
  std::vector<Tensor> results;
  for (const Tensor& output : outputs) results.push_back(output.detach().to(Device::cpu));
  if (wanted.empty()) return results;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].requires_grad()) continue;
    backward(outputs[i], seed_for(outputs[i], i).to(outputs[i].device()), /*keep=*/true);
  }
  for (const Tensor& input : wanted)
    results.push_back(input.grad().defined() ? input.grad().to(Device::cpu) : Tensor());
  return results;
}

void check_close(const std::string& what, const Tensor& found, const Tensor& expected, double tolerance) {
  INFO(what);
  REQUIRE(found.defined() == expected.defined());
  if (!found.defined()) return;
  REQUIRE(found.shape() == expected.shape());
  REQUIRE(found.dtype() == expected.dtype());
  const auto a = found.to_vector(), b = expected.to_vector();
  double largest = 0, residual = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    if (std::isfinite(b[i])) largest = std::max(largest, std::abs(double{b[i]}));
    if (!same)
      residual = std::isfinite(a[i]) && std::isfinite(b[i]) ? std::max(residual, std::abs(double{a[i]} - double{b[i]}))
                                                            : HUGE_VAL;
  }
  report_or_check(what, residual, tolerance * largest);
}

void check_op(const OpCase& op) {
  const Device device = device_under_test();
  OpCase moved = op;
  for (Tensor& input : moved.inputs) input = on_device(input, device);
  const std::vector<Tensor> fast = outputs_and_gradients(moved);
  std::vector<Tensor> expected;
  {
    const ForcedKernel reference("*=reference");
    expected = outputs_and_gradients(op);
  }
  REQUIRE(fast.size() == expected.size());
  std::size_t wanted = 0;
  bool all_f32 = true;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    if (differentiated(op, i)) ++wanted;
    if (op.inputs[i].defined() && op.inputs[i].dtype() == DType::bf16) all_f32 = false;
  }
  const std::size_t output_count = fast.size() - wanted;
  for (std::size_t i = 0; i < output_count; ++i)
    if (fast[i].dtype() == DType::bf16) all_f32 = false;
  for (std::size_t i = 0; i < fast.size(); ++i) {
    const bool is_gradient = i >= output_count;
    if (!fast[i].defined() && !expected[i].defined()) continue;
    check_close(
        op.name + (is_gradient ? " gradient " : " output ") + std::to_string(is_gradient ? i - output_count : i),
        fast[i], expected[i], tolerance_of(op, expected[i].dtype(), is_gradient));
  }
  if (device != Device::cpu) {
    before_rerun()();
    const std::vector<Tensor> again = outputs_and_gradients(moved);
    for (std::size_t i = 0; i < fast.size(); ++i) {
      INFO(op.name << " result " << i << " once more");
      CHECK(same_bits(again[i], fast[i]));
    }
    return;  // finite differences are the references' business
  }
  if (wanted > 0 && all_f32) check_finite_differences(op, expected, output_count);
  for (const int threads : {1, 2}) {
    const Threads guard(threads);
    const std::vector<Tensor> again = outputs_and_gradients(op);
    for (std::size_t i = 0; i < fast.size(); ++i) {
      INFO(op.name << " result " << i << " with " << threads << " threads");
      CHECK(same_bits(again[i], fast[i]));
    }
  }
}

double seconds_of(const OpCase& op, bool with_gradient, double budget) {
  const auto once = [&] {
    const auto start = std::chrono::steady_clock::now();
    if (with_gradient) {
      outputs_and_gradients(op);
    } else {
      const NoGrad guard;
      op.run(op.inputs);
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  once();
  std::vector<double> times;
  double total = 0;
  while (total < budget || times.size() < 3) {
    times.push_back(once());
    total += times.back();
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

Tensor strided_rows(const Tensor& x, std::int64_t gap) {
  Shape strides = x.strides();
  std::int64_t rows = 1;
  for (int d = x.rank() - 2; d >= 0; --d) {
    strides[static_cast<std::size_t>(d)] = rows * (x.dim(-1) + gap);
    rows *= x.dim(d);
  }
  Tensor wide = Tensor::zeros({rows * (x.dim(-1) + gap) + gap}, x.dtype());
  Tensor view = wide.alias(x.shape(), strides, gap);
  view.copy_from(x);
  return view;
}

Tensor stored_transposed(const Tensor& x) {
  Shape turned = x.shape();
  std::swap(turned[turned.size() - 1], turned[turned.size() - 2]);
  const Tensor storage = Tensor::empty(turned, x.dtype());
  Shape strides = storage.strides();
  std::swap(strides[strides.size() - 1], strides[strides.size() - 2]);
  Tensor view = storage.alias(x.shape(), strides, 0);
  view.copy_from(x);
  return view;
}

}  // namespace orrery::test
