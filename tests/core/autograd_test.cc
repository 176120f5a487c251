// The tape: sums over paths, freeing, checkpointing.
#include "core/autograd/autograd.h"

#include "core/base/random.h"
#include "core/ops/norm.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {
// y = a·x with a recorded backward, so that these tests need no op of core/ops.
Tensor scale(const Tensor& x, float a) {
  const Tensor y = Tensor::empty_like(x);
  for (std::int64_t i = 0; i < x.numel(); ++i) y.data<float>()[i] = a * x.data<float>()[i];
  record("scale", {x}, {y}, [a](const std::vector<Tensor>& grads) {
    NoGrad guard;
    return std::vector<Tensor>{scale(grads[0], a)};
  });
  return y;
}
}  // namespace

TEST_CASE("gradients add up over paths and over calls", "[autograd]") {
  Tensor x = Tensor::from({2}, {1});
  x.set_requires_grad(true);
  const Tensor y = scale(x, 3);
  const Tensor z = scale(y, 5);
  backward(z, {}, /*keep=*/true);
  CHECK(x.grad().item() == 15);
  backward(y);
  CHECK(x.grad().item() == 18);
  CHECK_THROWS_AS(backward(y), Error);  // its tape is gone
}

TEST_CASE("gradients() leaves grad() alone and sees inner tensors", "[autograd]") {
  Tensor x = Tensor::from({2}, {1});
  x.set_requires_grad(true);
  const Tensor y = scale(x, 3);
  const auto result = gradients(scale(y, 5), {x, y});
  CHECK(result[0].item() == 15);
  CHECK(result[1].item() == 5);
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("nothing is recorded under NoGrad", "[autograd]") {
  Tensor x = Tensor::from({2}, {1});
  x.set_requires_grad(true);
  const NoGrad guard;
  CHECK_FALSE(scale(x, 3).requires_grad());
  CHECK_THROWS_AS(backward(scale(x, 3)), InputError);
}

TEST_CASE("a checkpoint gives the gradients of the plain run, parameters included", "[autograd]") {
  Random random(3);
  Tensor x = Tensor::randn({4, 8}, random), w = Tensor::randn({8}, random);
  x.set_requires_grad(true);
  w.set_requires_grad(true);
  const Tensor seed = Tensor::randn({4, 8}, random);
  backward(ops::rms_norm(scale(x, 2), w), seed);
  const auto plain_x = x.grad().to_vector(), plain_w = w.grad().to_vector();
  x.clear_grad();
  w.clear_grad();
  const auto forward = [w](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{ops::rms_norm(scale(in[0], 2), w)};
  };
  backward(checkpoint(forward, {x})[0], seed);
  CHECK(x.grad().to_vector() == plain_x);
  CHECK(w.grad().to_vector() == plain_w);
}
