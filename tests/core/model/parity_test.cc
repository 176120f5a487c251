// The transformer against HuggingFace transformers' deepseek_v4, deepseek_v3 and deepseek_v32: logits, gradients and
// greedy continuations of tiny random models. The fixtures are made by tests/fixtures/deepseek_v4/make.py and
// deepseek_v3/make.py (versions in each file's metadata).
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/io/parameters_file.h"
#include "core/io/safetensors.h"
#include "core/model/transformer.h"
#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

struct Fixture {
  TensorFile file;
  Transformer model;
};

Fixture load(const std::string& name) {
  const std::string folder = name.starts_with("v3") ? "/deepseek_v3/" : "/deepseek_v4/";
  const std::string path = std::string(ORRERY_TEST_FIXTURES) + folder + name + ".safetensors";
  TensorFile file = open_tensors(path);
  Random random(1);
  Transformer model(parse_model_config(file.metadata("config"), path), random);
  for (const Parameter& item : model.parameters().all()) file.load_into("weight." + item.name, item.value);
  return {std::move(file), std::move(model)};
}

Tensor tensor_of(const TensorFile& file, const std::string& name) {
  const Safetensors whole = Safetensors::open(file.source());
  const SafetensorsEntry& entry = whole.at(name);
  const Tensor tensor = Tensor::empty(entry.shape, entry.dtype == FileDType::I32 ? DType::i32 : DType::f32);
  file.load_into(name, tensor);
  return tensor;
}

double largest(const std::vector<float>& values) {
  double result = 0;
  for (const float value : values) result = std::max(result, std::abs(double{value}));
  return result;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double result = 0;
  for (std::size_t i = 0; i < a.size(); ++i) result = std::max(result, std::abs(double{a[i]} - b[i]));
  return result;
}

const char* const kCases[] = {"sliding",     "csa4", "hca8", "mixed", "hash", "csa8",    "short", "one_token",
                              "window_edge", "long", "yarn", "clamp", "v3",   "v3_yarn", "v32",   "v32_yarn"};

}  // namespace

TEST_CASE("logits equal transformers'", "[model][parity]") {
  const std::string name = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  INFO(name);
  const Fixture fixture = load(name);
  const NoGrad guard;
  const Tensor logits = fixture.model.logits(fixture.model.forward(tensor_of(fixture.file, "ids")).hidden);
  const auto expected = tensor_of(fixture.file, "logits").to_vector();
  // f32 on both sides, sums in another order: the bound that the project has set itself.
  CHECK(largest_difference(logits.to_vector(), expected) <= 2e-4 * largest(expected));
}

TEST_CASE("gradients of all parameters equal autograd's", "[model][parity]") {
  const std::string name = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  INFO(name);
  const Fixture fixture = load(name);
  const Tensor logits = fixture.model.logits(fixture.model.forward(tensor_of(fixture.file, "ids")).hidden);
  const Tensor direction = tensor_of(fixture.file, "direction");
  backward(ops::mean(ops::mul(logits, direction.reshaped(logits.shape()))));
  double scale = 0;  // of the largest gradient: tiny ones are compared against it, not against their own noise
  for (const Parameter& item : fixture.model.parameters().all())
    if (fixture.file.has("grad." + item.name))
      scale = std::max(scale, largest(tensor_of(fixture.file, "grad." + item.name).to_vector()));
  int compared = 0;
  for (const Parameter& item : fixture.model.parameters().all()) {
    if (item.kind == ParameterKind::buffer) continue;
    INFO(item.name);
    const Tensor grad = item.value.grad();
    if (!fixture.file.has("grad." + item.name)) {
      CHECK((!grad.defined() || largest(grad.to_vector()) == 0));
      continue;
    }
    const auto expected = tensor_of(fixture.file, "grad." + item.name).to_vector();
    if (!grad.defined()) {
      CHECK(largest(expected) == 0);
      continue;
    }
    ++compared;
    CHECK(largest_difference(grad.to_vector(), expected) <= 1e-3 * std::max(largest(expected), 1e-3 * scale));
  }
  CHECK(compared > 20);
}

TEST_CASE("64 greedy tokens equal transformers'", "[model][parity]") {
  const std::string name = GENERATE(from_range(std::begin(kCases), std::end(kCases)));
  INFO(name);
  const Fixture fixture = load(name);
  const NoGrad guard;
  const Tensor expected = tensor_of(fixture.file, "greedy");
  const auto* tokens = expected.data<std::int32_t>();
  const std::int64_t total = expected.numel();
  // One pass over the whole continuation: causal, so position t sees what step-by-step decoding saw.
  const Tensor ids = expected.reshaped({1, total});
  const std::vector<float> logits = fixture.model.logits(fixture.model.forward(ids).hidden).to_vector();
  const auto vocab = static_cast<std::size_t>(fixture.model.config().vocab_size);
  for (std::int64_t t = total - 65; t + 1 < total; ++t) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(t) * vocab);
    CHECK(std::max_element(row, row + static_cast<std::ptrdiff_t>(vocab)) - row == tokens[t + 1]);
  }
}
