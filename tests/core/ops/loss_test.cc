// Softmax and cross entropy, also fused with the output head.
#include "core/ops/loss.h"

#include <cmath>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/ops/matmul.h"
#include "core/ops/shape.h"
#include "core/ops/softmax.h"
#include "tests/support/catch.h"
#include "tests/support/op_case.h"

using namespace orrery;
using test::check_op;
using Tensors = std::vector<Tensor>;

namespace {

Tensor normal(Shape shape, std::uint64_t seed, DType dtype = DType::f32) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random).to(dtype);
}

// Targets in [−1, classes): some are ignored.
Tensor targets(std::int64_t tokens, std::int64_t classes) {
  Random random(5);
  std::vector<std::int32_t> values;
  for (std::int64_t t = 0; t < tokens; ++t)
    values.push_back(t % 4 == 3 ? -1 : static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(classes))));
  return Tensor::from(values, {tokens});
}

Tensor weights(std::int64_t tokens) {
  Random random(6);
  return Tensor::uniform({tokens}, random, 0.1f, 2.0f);
}

}  // namespace

TEST_CASE("draws follow the softmax's running sum", "[ops]") {
  for (const std::int64_t classes : {1, 7, 300, 1500}) {
    constexpr std::int64_t kRows = 40;
    Random random(classes);
    const Tensor wide = normal({kRows, classes + 3}, 21), uniforms = Tensor::uniform({kRows}, random, 0, 1);
    check_op(
        {.name = "draw from " + std::to_string(classes),
         .inputs = {wide, uniforms},
         .run = [classes](const Tensors& in) { return Tensors{ops::draw(ops::narrow(in[0], 1, 2, classes), in[1])}; },
         .gradient = false});
  }
  const Tensor logits = Tensor::from({0, 0, 0, 0, -INFINITY, 5, -INFINITY, -INFINITY}, {2, 4});
  CHECK(ops::draw(logits, Tensor::from({0.3f, 0.99f}, {2})).to_vector() == std::vector<float>{1, 1});
  CHECK(ops::draw(logits, Tensor::from({0, 0}, {2})).to_vector() == std::vector<float>{0, 1});
  CHECK(ops::draw(logits, Tensor::from({0.76f, 0.5f}, {2})).to_vector() == std::vector<float>{3, 1});
}

TEST_CASE("softmax agrees with its reference", "[ops]") {
  for (const Shape& shape :
       {Shape{1}, Shape{3, 1}, Shape{5, 7}, Shape{2, 3, 131}, Shape{4, 1000}, Shape{0, 5}, Shape{3, 0}})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      check_op({.name = "softmax " + to_string(shape),
                .inputs = {normal(shape, 1, dtype)},
                .run = [](const Tensors& in) { return Tensors{ops::softmax(in[0])}; },
                .depth = 1000,
                .roundings = 4});
      check_op({.name = "log_softmax " + to_string(shape),
                .inputs = {normal(shape, 1, dtype)},
                .run = [](const Tensors& in) { return Tensors{ops::log_softmax(in[0])}; },
                .depth = 1000,
                .roundings = 4});
    }
}

TEST_CASE("softmax of infinite values", "[ops]") {
  const float inf = INFINITY;
  const Tensor y = ops::softmax(Tensor::from({-inf, -inf, 0, -inf, 1e30f, 1e30f, NAN, 0}, {4, 2}));
  const auto values = y.to_vector();
  CHECK(values[0] == 0);
  CHECK(values[1] == 0);
  CHECK(values[2] == 1);
  CHECK(values[3] == 0);
  CHECK(values[4] == 0.5f);
  CHECK(std::isnan(values[6]));
  CHECK(std::isnan(values[7]));
}

TEST_CASE("cross entropy agrees with its reference", "[ops]") {
  for (const std::int64_t classes : {1, 2, 17, 515})
    for (const DType dtype : {DType::f32, DType::bf16})
      for (const bool weighted : {false, true})
        check_op({.name = "cross_entropy of " + std::to_string(classes),
                  .inputs = {normal({9, classes}, 1, dtype), targets(9, classes), weighted ? weights(9) : Tensor()},
                  .run =
                      [](const Tensors& in) {
                        const auto loss = ops::cross_entropy(in[0], in[1], in[2]);
                        return Tensors{loss.total, loss.losses.detach()};
                      },
                  .depth = 515,
                  .roundings = 4,
                  .gradient = true,
                  .constant = {2}});
}

TEST_CASE("cross entropy of uniform logits is the logarithm of the classes", "[ops]") {
  const auto loss = ops::cross_entropy(Tensor::zeros({3, 50}), Tensor::from(std::vector<std::int32_t>{4, -1, 49}, {3}));
  CHECK(loss.total.item() == Approx(std::log(50.0)));
  CHECK(loss.losses.to_vector()[1] == 0);
  CHECK(ops::cross_entropy(Tensor::zeros({1, 5}), Tensor::from(std::vector<std::int32_t>{-1}, {1})).total.item() == 0);
}

TEST_CASE("the head's cross entropy is that of its logits, gradients included", "[ops]") {
  // 3000 classes: the tokens are cut into chunks of 2796.
  struct Row {
    std::int64_t tokens, width, classes;
  };
  for (const auto& [tokens, width, classes] : {Row{7, 5, 11}, Row{33, 16, 130}, Row{3000, 4, 3000}}) {
    Tensor hidden = normal({tokens, width}, 1), head = normal({classes, width}, 2);
    const Tensor ids = targets(tokens, classes), shares = weights(tokens);
    hidden.set_requires_grad(true);
    head.set_requires_grad(true);
    const auto fused = ops::linear_cross_entropy(hidden, head, ids, shares);
    backward(fused.total, Tensor::full({1}, 3.0f));
    const Tensor fused_hidden = hidden.grad(), fused_head = head.grad();
    hidden.clear_grad();
    head.clear_grad();
    const auto plain = ops::cross_entropy(ops::linear(hidden, head), ids, shares);
    backward(plain.total, Tensor::full({1}, 3.0f));
    test::check_close("total", fused.total.detach(), plain.total.detach(), 1e-6);
    test::check_close("losses", fused.losses, plain.losses, 1e-6);
    test::check_close("grad hidden", fused_hidden, hidden.grad(), 1e-5);
    test::check_close("grad head", fused_head, head.grad(), 1e-5);
  }
}

TEST_CASE("the head's cross entropy in f32 and bf16 agrees with its reference", "[ops]") {
  for (const DType dtype : {DType::f32, DType::bf16})
    check_op({.name = "linear_cross_entropy",
              .inputs = {normal({21, 12}, 1, dtype), normal({37, 12}, 2), targets(21, 37), weights(21)},
              .run =
                  [](const Tensors& in) {
                    const auto loss = ops::linear_cross_entropy(in[0], in[1], in[2], in[3]);
                    return Tensors{loss.total, loss.losses.detach()};
                  },
              .depth = 60,
              .roundings = 4,
              .constant = {3}});
}

TEST_CASE("losses of wrong operands say what they found", "[ops]") {
  const Tensor logits = normal({2, 5}, 1);
  CHECK_THROWS_WITH(ops::cross_entropy(logits, Tensor::from(std::vector<std::int32_t>{1, 5}, {2})),
                    ContainsSubstring("target 5 at 1"));
  CHECK_THROWS_WITH(ops::cross_entropy(logits, Tensor::from(std::vector<std::int32_t>{1}, {1})),
                    ContainsSubstring("targets are i32 [1]"));
  CHECK_THROWS_WITH(ops::cross_entropy(logits, normal({2}, 1)), ContainsSubstring("expected i32"));
  CHECK_THROWS_WITH(
      ops::linear_cross_entropy(logits, normal({7, 4}, 1), Tensor::from(std::vector<std::int32_t>{1, 1}, {2})),
      ContainsSubstring("[linear_cross_entropy]"));
}
