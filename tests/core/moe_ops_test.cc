// Gradients of routing, grouping, SwiGLU and hyper-connections by finite differences, and what they must obey.
#include <cmath>

#include "core/base/random.h"
#include "core/ops/hyper_connection.h"
#include "core/ops/moe.h"
#include "core/ops/norm.h"
#include "tests/support/catch.h"
#include "tests/support/gradient_check.h"

using namespace orrery;
using test::check_gradients;

namespace {

Tensor normal(Shape shape, std::uint64_t seed, float deviation = 1.0f) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random, deviation);
}

}  // namespace

TEST_CASE("gradients of route", "[moe][gradient]") {
  const auto score = GENERATE(RouterScore::sqrt_softplus, RouterScore::sigmoid, RouterScore::softmax);
  RouteOptions options;
  options.score = score;
  options.normalize = GENERATE(false, true);
  options.scaling = 1.5f;
  const Tensor given =
      Tensor::empty({6, 2}, DType::i32);  // fixed ids: a choice that flips within a step has no gradient
  for (std::int32_t i = 0; i < 6; ++i) {
    given.data<std::int32_t>()[2 * i] = i % 5;
    given.data<std::int32_t>()[2 * i + 1] = (i + 2) % 5;
  }
  check_gradients(
      [&](const std::vector<Tensor>& in) {
        const ops::Routing routing = ops::route(in[0], {}, given, 2, options);
        return std::vector<Tensor>{routing.weights, routing.scores};
      },
      {normal({6, 5}, 1)});
}

TEST_CASE("route chooses with the bias and weighs without it", "[moe]") {
  const Tensor logits = Tensor::from({0, 1, 2, 3}, {1, 4}), bias = Tensor::from({9, 0, 0, 0}, {4});
  RouteOptions options;
  options.score = RouterScore::sigmoid;
  options.scaling = 2.5f;
  const ops::Routing routing = ops::route(logits, bias, {}, 2, options);
  CHECK(routing.ids.data<std::int32_t>()[0] == 0);
  CHECK(routing.ids.data<std::int32_t>()[1] == 3);
  const double low = 0.5, high = 1 / (1 + std::exp(-3.0));
  CHECK(routing.weights.data<float>()[0] == Approx(2.5 * low / (low + high)));
  CHECK(routing.weights.data<float>()[1] == Approx(2.5 * high / (low + high)));
}

TEST_CASE("group-limited routing stays in the kept groups", "[moe]") {
  // Sums of the best two of each pair: 3, 5, 4.5, 2.
  const Tensor logits = Tensor::zeros({1, 8}), bias = Tensor::from({3, 0, 2.5f, 2.5f, 4.5f, 0, 1, 1}, {8});
  RouteOptions options;
  options.score = RouterScore::sigmoid;
  options.groups = 4;
  options.kept_groups = 2;
  const ops::Routing routing = ops::route(logits, bias, {}, 3, options);
  const std::int32_t* ids = routing.ids.data<std::int32_t>();
  CHECK((ids[0] == 4 && ids[1] == 2 && ids[2] == 3));  // 0 has the next best score but not the next best group
}

TEST_CASE("a plan groups every slot once, in order", "[moe]") {
  const std::int64_t tokens = 37, count = 3, experts = 7;
  const Tensor ids = Tensor::empty({tokens, count}, DType::i32);
  Random random(5);
  for (std::int32_t& id : ids.span<std::int32_t>()) id = static_cast<std::int32_t>(random.below(experts));
  const ops::MoePlan plan = ops::moe_plan(ids, experts);
  const std::int32_t *order = plan.order.data<std::int32_t>(), *offsets = plan.offsets.data<std::int32_t>();
  CHECK(offsets[0] == 0);
  CHECK(offsets[experts] == tokens * count);
  for (std::int32_t e = 0; e < experts; ++e)
    for (std::int32_t i = offsets[e]; i < offsets[e + 1]; ++i) {
      CHECK(ids.data<std::int32_t>()[order[i]] == e);
      CHECK(plan.inverse.data<std::int32_t>()[order[i]] == i);
      CHECK((i == offsets[e] || order[i - 1] < order[i]));
    }
}

TEST_CASE("gradients of moe_gather and moe_combine", "[moe][gradient]") {
  const Tensor ids = Tensor::empty({5, 2}, DType::i32);
  for (std::int32_t i = 0; i < 10; ++i) ids.data<std::int32_t>()[i] = i * 7 % 4;
  const ops::MoePlan plan = ops::moe_plan(ids, 4);
  check_gradients([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::moe_gather(in[0], plan)}; },
                  {normal({5, 3}, 1)});
  check_gradients(
      [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::moe_combine(in[0], in[1], plan)}; },
      {normal({10, 3}, 1), normal({5, 2}, 2)});
}

TEST_CASE("gradients of swiglu, joined and apart", "[moe][gradient]") {
  const float limit = GENERATE(0.0f, 1.03125f);
  Tensor x = normal({6, 10}, 1);
  for (float& v : x.span<float>())  // no element within a step of the clamp's corner
    if (std::abs(std::abs(v) - limit) < 0.07f) v += 0.2f;
  check_gradients([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::swiglu(in[0], limit)}; }, {x});
  const Tensor gate = x.alias({6, 5}, {10, 1}, 0), up = x.alias({6, 5}, {10, 1}, 5);
  CHECK(ops::swiglu(x.detach(), limit).to_vector() == ops::swiglu(gate.detach(), up.detach(), limit).to_vector());
  check_gradients([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::swiglu(in[0], in[1], limit)}; },
                  {gate.clone(), up.clone()});
}

TEST_CASE("gradients of hc_pre and hc_post", "[mhc][gradient]") {
  const std::int64_t n = GENERATE(1, 3, 4), d = 3, rows = (2 + n) * n;
  const bool head = GENERATE(false, true);
  ops::HyperConnectionOptions options;
  options.iterations = 4;
  options.eps = 1e-3f;
  const std::int64_t fn_rows = head ? n : rows;
  check_gradients(
      [&](const std::vector<Tensor>& in) {
        const ops::HyperConnection hc = ops::hc_pre(in[0], in[1], in[2], in[3], options);
        return head ? std::vector<Tensor>{hc.h} : std::vector<Tensor>{hc.h, hc.post, hc.comb};
      },
      {normal({2, 2, n, d}, 1), normal({fn_rows, n * d}, 2, 0.5f), normal({fn_rows}, 3), normal({head ? 1 : 3}, 4)});
  if (head) return;
  check_gradients(
      [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::hc_post(in[0], in[1], in[2], in[3])}; },
      {normal({4, n, d}, 1), normal({4, d}, 2), normal({4, n}, 3), normal({4, n, n}, 4)});
}

TEST_CASE("comb is doubly stochastic after enough rounds", "[mhc]") {
  const std::int64_t n = 4, rows = 24;
  const ops::HyperConnection hc =
      ops::hc_pre(normal({3, n, 8}, 1), normal({rows, n * 8}, 2, 0.2f), normal({rows}, 3), normal({3}, 4), {});
  const float* comb = hc.comb.data<float>();
  for (std::int64_t t = 0; t < 3; ++t)
    for (std::int64_t i = 0; i < n; ++i) {
      double row = 0, column = 0;
      for (std::int64_t j = 0; j < n; ++j) {
        row += double{comb[(t * n + i) * n + j]};
        column += double{comb[(t * n + j) * n + i]};
      }
      CHECK(row == Approx(1).margin(1e-3));
      CHECK(column == Approx(1).margin(1e-5));
    }
}

TEST_CASE("gradients of rms_norm", "[norm][gradient]") {
  const bool weighted = GENERATE(false, true);
  check_gradients([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::rms_norm(in[0], in[1])}; },
                  {normal({5, 7}, 1), weighted ? normal({7}, 2) : Tensor()});
}

TEST_CASE("routing names what is wrong", "[moe]") {
  CHECK_THROWS_WITH(ops::route(normal({2, 4}, 1), {}, {}, 5, {}), ContainsSubstring("top 5 of 4"));
  CHECK_THROWS_WITH(ops::route(normal({2, 4}, 1), {}, Tensor::full({2, 2}, 7, DType::i32), 2, {}),
                    ContainsSubstring("expert id 7"));
  RouteOptions options;
  options.groups = 3;
  CHECK_THROWS_WITH(ops::route(normal({2, 4}, 1), {}, {}, 2, options), ContainsSubstring("3 groups"));
  CHECK_THROWS_WITH(ops::hc_pre(normal({2, 4, 3}, 1), normal({7, 12}, 1), normal({7}, 1), normal({3}, 1), {}),
                    ContainsSubstring("fn is f32 [7, 12]"));
  CHECK_THROWS_WITH(ops::swiglu(normal({2, 3}, 1), 1), ContainsSubstring("[2, 3]"));
}
