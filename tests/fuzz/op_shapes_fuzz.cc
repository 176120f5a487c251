// Any bytes as an op and its operands: an InputError, or what the reference kernels give, forward and backward. Shapes,
// dtypes, strides and devices come from the input; most of them fit together, so that the kernels are reached.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/autograd/autograd.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/ops/attention.h"
#include "core/ops/conv.h"
#include "core/ops/dense_attention.h"
#include "core/ops/elementwise.h"
#include "core/ops/indexing.h"
#include "core/ops/layer_norm.h"
#include "core/ops/loss.h"
#include "core/ops/matmul.h"
#include "core/ops/moe.h"
#include "core/ops/norm.h"
#include "core/ops/reduce.h"
#include "core/ops/shape.h"
#include "core/ops/softmax.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace orrery;

/// Choices out of the input; zeros when it has ended.
class Choices {
 public:
  explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  int byte() { return at_ < bytes_.size() ? bytes_[at_++] : 0; }
  int below(int count) { return byte() % count; }
  bool rarely() { return byte() % 16 == 15; }
  /// A size: mostly small, now and then one that crosses a vector or a block.
  std::int64_t size() {
    constexpr std::int64_t kSizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 33, 40, 0, 64};
    return kSizes[below(16)];
  }
  /// A number that an option may have been given.
  std::int64_t number() {
    constexpr std::int64_t kNumbers[] = {1,
                                         2,
                                         3,
                                         0,
                                         4,
                                         5,
                                         8,
                                         -1,
                                         -2,
                                         7,
                                         1000,
                                         std::numeric_limits<std::int32_t>::max(),
                                         std::numeric_limits<std::int64_t>::max(),
                                         std::numeric_limits<std::int64_t>::min()};
    return rarely() ? kNumbers[below(14)] : kNumbers[below(7)];
  }
  /// `shape`, now and then with a size or a rank that does not fit.
  Shape bent(Shape shape) {
    if (!rarely()) return shape;
    if (shape.empty() || below(4) == 0) {
      shape.push_back(size());
    } else if (below(4) == 1) {
      shape.pop_back();
    } else {
      shape[static_cast<std::size_t>(below(static_cast<int>(shape.size())))] = size();
    }
    return shape;
  }
  DType floating() { return dtype_ < 0 ? (dtype_ = below(2)) == 0 ? DType::f32 : DType::bf16 : other(dtype_); }
  /// A floating tensor of about `shape`: one dtype an input, views and other devices now and then.
  Tensor tensor(const Shape& wanted) { return view_of(values(bent(wanted), floating())); }
  Tensor f32(const Shape& wanted) { return view_of(values(bent(wanted), rarely() ? floating() : DType::f32)); }
  Tensor maybe(const Shape& wanted) { return below(2) == 0 ? Tensor() : f32(wanted); }
  /// Whole numbers in [low, high), now and then beyond.
  Tensor ids(const Shape& wanted, std::int64_t low, std::int64_t high) {
    const Shape shape = bent(wanted);
    if (rarely()) return values(shape, DType::f32);
    const std::int64_t from = rarely() ? low - 1 : low, to = rarely() ? high + 1 : high;
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(numel(shape)));
    for (std::int32_t& number : numbers)
      number = static_cast<std::int32_t>(from + static_cast<std::int64_t>(random_.below(
                                                    static_cast<std::uint64_t>(std::max<std::int64_t>(1, to - from)))));
    return Tensor::from(numbers, shape);
  }

 private:
  DType other(int of) { return (of == 0) != rarely() ? DType::f32 : DType::bf16; }
  Tensor values(const Shape& shape, DType dtype) {
    // A fuzzer's input asks for little, so that many run a second.
    if (numel(shape) > (1 << 12)) return Tensor::zeros({1}, dtype);
    return Tensor::randn(shape, random_).to(dtype);
  }
  Tensor view_of(const Tensor& x) {
    if (rarely()) return below(4) == 0 ? x.to(Device::cuda) : below(2) == 0 ? Tensor() : x;
    if (x.rank() >= 2 && below(4) == 0) {  // the last two dimensions stored the other way round
      const Tensor turned = ops::transpose(x, -1, -2);
      return ops::transpose(ops::contiguous(turned), -1, -2);
    }
    return x;
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
  int dtype_ = -1;
  Random random_{7};
};

/// The op ready to run: twice, once by each kind of kernel.
struct Case {
  std::vector<Tensor> inputs;
  std::function<std::vector<Tensor>(const std::vector<Tensor>&)> run;
};
using Inputs = const std::vector<Tensor>&;
using Outputs = std::vector<Tensor>;

Case product_case(Choices& c) {
  // Not ReLU: rounding may decide on which side of its corner a sum lies.
  constexpr Activation kSmooth[] = {Activation::none, Activation::silu, Activation::gelu};
  const std::int64_t m = c.size(), n = c.size(), k = c.size(), groups = 1 + c.below(4);
  switch (c.below(6)) {
    case 0:
      return {{c.tensor({m, k}), c.tensor({k, n})}, [](Inputs in) { return Outputs{ops::matmul(in[0], in[1])}; }};
    case 1:
      return {{c.tensor({groups, m, k}), c.tensor(c.below(2) == 0 ? Shape{groups, k, n} : Shape{1, k, n})},
              [](Inputs in) { return Outputs{ops::matmul(in[0], in[1])}; }};
    case 2:
      return {{c.tensor({m, k}), c.f32({n, k}), c.maybe({n})},
              [act = kSmooth[c.below(3)]](Inputs in) { return Outputs{ops::linear(in[0], in[1], in[2], act)}; }};
    case 3:
      return {{c.tensor({m, groups, k}), c.f32({groups, n, k})},
              [](Inputs in) { return Outputs{ops::batched_linear(in[0], in[1])}; }};
    case 4: {
      std::vector<std::int32_t> bounds{0};
      for (std::int64_t g = 0; g < groups; ++g) bounds.push_back(bounds.back() + static_cast<std::int32_t>(c.size()));
      const std::int64_t rows = bounds.back();
      if (c.rarely())
        bounds[static_cast<std::size_t>(c.below(static_cast<int>(bounds.size())))] =
            static_cast<std::int32_t>(c.number());
      const Tensor offsets = Tensor::from(bounds, {groups + 1});
      return {{c.tensor({rows, k}), c.f32({groups, n, k})},
              [offsets](Inputs in) { return Outputs{ops::grouped_linear(in[0], in[1], offsets)}; }};
    }
    default:
      return {{c.tensor({m, k}), c.f32({n, k})}, [targets = c.ids({m}, -1, n), weights = c.maybe({m})](Inputs in) {
                return Outputs{ops::linear_cross_entropy(in[0], in[1], targets, weights).total};
              }};
  }
}

Case convolution_case(Choices& c) {
  const bool three = c.below(2) == 1, transposed = c.below(2) == 1;
  const std::int64_t in = c.size() % 9, out = c.size() % 9;
  Shape x{1 + c.below(3)}, weight{transposed ? in : out};
  for (int d = 0; d < 2 + (three ? 1 : 0); ++d) {
    x.push_back(c.size() % 10);
    weight.push_back(1 + c.below(3));
  }
  x.push_back(in);
  weight.push_back(transposed ? out : in);
  ops::ConvOptions options;
  for (std::vector<std::int64_t>* values : {&options.stride, &options.padding, &options.dilation})
    if (c.below(2) == 0) *values = {c.number()};
  // A large padding, or a transposed convolution's large stride or dilation, makes a large result of a small input.
  const auto bounded = [](std::vector<std::int64_t>& values) {
    if (!values.empty() && values[0] > 8 && values[0] <= 1000) values[0] = 3;
  };
  if (transposed) {
    bounded(options.stride);
    bounded(options.dilation);
  } else {
    bounded(options.padding);
  }
  return {{c.tensor(x), c.f32(weight), c.maybe({out})}, [=](Inputs i) {
            const auto op = three ? (transposed ? ops::conv_transpose3d : ops::conv3d)
                                  : (transposed ? ops::conv_transpose2d : ops::conv2d);
            return Outputs{op(i[0], i[1], i[2], options)};
          }};
}

Case attention_case(Choices& c) {
  const std::int64_t batch = 1 + c.below(2), queries = c.size(), keys = c.size(), heads = 1 + c.below(4),
                     depth = c.size() % 33;
  if (c.below(2) == 0) {
    const std::int64_t key_heads = c.below(2) == 0 ? heads : 1;
    const ops::DenseAttentionOptions options{.causal = c.below(2) == 0};
    const Tensor mask = c.maybe({queries, keys});
    return {{c.tensor({batch, queries, heads, depth}), c.tensor({batch, keys, key_heads, depth}),
             c.tensor({batch, keys, key_heads, c.below(2) == 0 ? depth : c.size() % 33})},
            [=](Inputs in) { return Outputs{ops::dense_attention(in[0], in[1], in[2], options, mask)}; }};
  }
  ops::SparseAttentionOptions options;
  options.window = c.number();
  options.rate = c.number();
  options.query_start = c.below(3) == 0 ? c.number() : keys - queries;
  options.kv_start = c.below(3) == 0 ? c.number() : 0;
  options.entry_start = c.below(3) == 0 ? c.number() : 0;
  options.scale = 0.25f;
  const std::int64_t entries = c.size(), picks = c.size();
  const bool with_entries = c.below(2) == 0, with_picks = with_entries && c.below(2) == 0;
  // Distinct picks, as the op asks for: the first ones, in order.
  Tensor indices;
  if (with_picks) {
    indices = Tensor::full({batch, queries, picks}, -1, DType::i32);
    for (std::int64_t i = 0; i < indices.numel(); ++i)
      if (i % picks < entries) indices.data<std::int32_t>()[i] = static_cast<std::int32_t>(i % picks);
  }
  return {{c.tensor({batch, queries, heads, depth}), c.tensor({batch, keys, depth}),
           with_entries ? c.tensor({batch, entries, depth}) : Tensor(), c.maybe({heads})},
          [=](Inputs in) { return Outputs{ops::sparse_attention(in[0], in[1], in[2], indices, in[3], options).out}; }};
}

Case row_case(Choices& c) {
  const std::int64_t rows = c.size(), width = c.size();
  const Tensor x = c.tensor({rows, width});
  switch (c.below(8)) {
    case 0:
      return {{x, c.maybe({width})}, [](Inputs in) { return Outputs{ops::rms_norm(in[0], in[1])}; }};
    case 1:
      return {{x, c.maybe({width}), c.maybe({width})},
              [](Inputs in) { return Outputs{ops::layer_norm(in[0], in[1], in[2])}; }};
    case 2: {
      const std::int64_t groups = 1 + c.below(4), channels = groups * (1 + c.below(9));
      return {{c.tensor({1 + c.below(3), rows, channels}), c.maybe({channels}), c.maybe({channels})},
              [groups = c.rarely() ? c.number() : groups](Inputs in) {
                return Outputs{ops::group_norm(in[0], groups, in[1], in[2])};
              }};
    }
    case 3:
      return {{x}, [](Inputs in) { return Outputs{ops::softmax(in[0])}; }};
    case 4:
      return {{x}, [](Inputs in) { return Outputs{ops::log_softmax(in[0])}; }};
    case 5:
      return {{x}, [targets = c.ids({rows}, -1, width), weights = c.maybe({rows})](Inputs in) {
                return Outputs{ops::cross_entropy(in[0], targets, weights).total};
              }};
    case 6:
      return {{c.tensor({rows, 2 * width})},
              [limit = c.below(2) == 0 ? 0.0f : 1.5f](Inputs in) { return Outputs{ops::swiglu(in[0], limit)}; }};
    default: {
      const std::int64_t heads = 1 + c.below(3), pairs = c.size() % 9, rest = c.size() % 9;
      const Tensor cos = c.f32({rows, pairs}), sin = c.f32({rows, pairs});
      return {{c.tensor({1 + c.below(2), rows, heads, 2 * pairs + rest})},
              [=, inverse = c.below(2) == 0](Inputs in) { return Outputs{ops::rope(in[0], cos, sin, inverse)}; }};
    }
  }
}

Case elementwise_case(Choices& c) {
  const Shape shape{c.size(), c.size(), c.size() % 10};
  if (c.below(2) == 0) {
    // Where a value decides between two slopes or none, rounding may: those ops are left to their own tests.
    constexpr Unary kSmooth[] = {Unary::affine, Unary::square,  Unary::exp,  Unary::sin,  Unary::cos,
                                 Unary::tanh,   Unary::sigmoid, Unary::silu, Unary::gelu, Unary::softplus};
    return {{c.tensor(shape)},
            [op = kSmooth[c.below(10)]](Inputs in) { return Outputs{ops::unary(op, in[0], 0.5f, 0.25f)}; }};
  }
  Shape other = shape;
  for (std::int64_t& size : other)
    if (c.below(3) == 0) size = 1;
  constexpr Tensor (*kOps[])(const Tensor&, const Tensor&) = {ops::add, ops::sub, ops::mul};
  return {{c.tensor(shape), c.tensor(other)}, [op = kOps[c.below(3)]](Inputs in) { return Outputs{op(in[0], in[1])}; }};
}

Case index_case(Choices& c) {
  const std::int64_t rows = c.size(), width = c.size(), count = c.size();
  const int dim = c.rarely() ? static_cast<int>(c.number()) : c.below(2);
  switch (c.below(6)) {
    case 0:
      return {{c.tensor({rows, width})}, [ids = c.ids({count}, 0, rows), out = c.floating()](Inputs in) {
                return Outputs{ops::embedding(in[0], ids, out)};
              }};
    case 1:
      return {{c.tensor({rows, width})}, [ids = c.ids({count}, 0, dim == 0 ? rows : width), dim](Inputs in) {
                return Outputs{ops::index_select(in[0], dim, ids)};
              }};
    case 2:
      return {{c.tensor({rows, width})},
              [index = c.ids(dim == 0 ? Shape{count, width} : Shape{rows, count}, 0, dim == 0 ? rows : width),
               dim](Inputs in) { return Outputs{ops::gather(in[0], dim, index)}; }};
    case 3: {
      const Shape added = dim == 0 ? Shape{count, width} : Shape{rows, count};
      return {{c.tensor({rows, width}), c.tensor(added)},
              [index = c.ids(added, 0, dim == 0 ? rows : width), dim](Inputs in) {
                return Outputs{ops::scatter_add(in[0], dim, index, in[1])};
              }};
    }
    case 4:
      return {{c.tensor({rows, width})}, [k = c.number(), ascending = c.below(2) == 0](Inputs in) {
                return Outputs{ops::top_k(in[0], k, ascending).values};
              }};
    default: {
      const std::int64_t experts = 1 + c.below(9), tokens = c.size();
      const std::int64_t chosen = c.rarely() ? c.number() : 1 + c.below(3);
      RouteOptions options;
      options.score = static_cast<RouterScore>(c.below(3));
      options.normalize = c.below(2) == 0;
      if (c.below(3) == 0) options.groups = c.number();
      if (c.below(3) == 0) options.kept_groups = c.number();
      return {{c.f32({tokens, experts})},
              [=](Inputs in) { return Outputs{ops::route(in[0], {}, {}, chosen, options).weights}; }};
    }
  }
}

Case shape_case(Choices& c) {
  const Shape shape{c.size(), c.size(), c.size() % 10};
  const int dim = static_cast<int>(c.number()), other = static_cast<int>(c.number());
  const std::int64_t start = c.number(), length = c.number();
  const Tensor x = c.tensor(shape);
  switch (c.below(9)) {
    case 0:
      return {{x}, [=](Inputs in) { return Outputs{ops::reshape(in[0], {start, length, -1})}; }};
    case 1:
      return {{x}, [=](Inputs in) { return Outputs{ops::contiguous(ops::transpose(in[0], dim, other))}; }};
    case 2:
      return {{x}, [=](Inputs in) { return Outputs{ops::narrow(in[0], dim, start, length)}; }};
    case 3:
      return {{x}, [=](Inputs in) { return ops::split(in[0], dim, {start, length, 1}); }};
    case 4:
      return {{x}, [=](Inputs in) { return Outputs{ops::expand(in[0], {length, shape[0], shape[1], shape[2]})}; }};
    case 5:
      return {{x, c.tensor(shape)}, [=](Inputs in) { return Outputs{ops::concat({in[0], in[1]}, dim)}; }};
    case 6:
      return {{x}, [=](Inputs in) { return Outputs{ops::pad(in[0], dim, start % 100, length % 100, 0.5f)}; }};
    case 7:
      return {{x}, [=](Inputs in) { return Outputs{ops::sum(in[0], {dim}, start == 1)}; }};
    default:
      return {{x}, [=](Inputs in) { return Outputs{ops::mean(in[0], {dim, other})}; }};
  }
}

Case draw_case(Choices& c) {
  constexpr Case (*kKinds[])(Choices&) = {product_case,     attention_case, row_case,  convolution_case,
                                          elementwise_case, index_case,     shape_case};
  return kKinds[c.below(7)](c);
}

/// Outputs, and where they are floating and depend on an input, the inputs' gradients.
Outputs results_of(const Case& drawn) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : drawn.inputs) {
    leaves.push_back(input.defined() ? input.detach() : input);
    if (input.defined() && (input.dtype() == DType::f32 || input.dtype() == DType::bf16))
      leaves.back().set_requires_grad(true);
  }
  Outputs results = drawn.run(leaves);
  for (const Tensor& result : results)
    if (result.numel() > (1 << 17)) return {};  // a view that repeats few elements: its gradient would have them all
  const std::size_t outputs = results.size();
  std::vector<Tensor> wanted;
  for (const Tensor& leaf : leaves)
    if (leaf.requires_grad()) wanted.push_back(leaf);
  for (std::size_t i = 0; i < outputs; ++i) {
    if (!results[i].requires_grad() || results[i].numel() == 0) continue;
    Random random(11);
    const Tensor seed = Tensor::randn(results[i].shape(), random).to(results[i].dtype());
    for (const Tensor& gradient : gradients(results[i], wanted, seed)) results.push_back(gradient);
  }
  return results;
}

/// Sums of up to some thousand terms, rounded a few times on the way, with slack for cancellation: what a wrong index
/// or a lost tail is far beyond. `half`: an operand is bf16, and so may be what a result of f32 was made from.
void expect_close(const Tensor& found, const Tensor& expected, bool half) {
  FUZZ_EXPECT(found.defined() == expected.defined());
  if (!found.defined()) return;
  FUZZ_EXPECT(found.shape() == expected.shape() && found.dtype() == expected.dtype());
  const std::vector<float> left = found.to_vector(), right = expected.to_vector();
  float most = 0;
  for (const float value : right)
    if (std::isfinite(value)) most = std::max(most, std::abs(value));
  const float tolerance = (half ? 0.06f : 0.002f) * (most + 0.1f);
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (std::isfinite(right[i]))
      FUZZ_EXPECT(std::abs(left[i] - right[i]) <= tolerance);
    else
      FUZZ_EXPECT(std::isnan(left[i]) == std::isnan(right[i]) && (std::isnan(left[i]) || left[i] == right[i]));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(std::span(data, size));
  try {
    unsetenv("ORRERY_KERNEL");
    const Case drawn = draw_case(choices);
    const Outputs found = results_of(drawn);
    setenv("ORRERY_KERNEL", "*=reference", 1);
    const Outputs expected = results_of(drawn);
    unsetenv("ORRERY_KERNEL");
    FUZZ_EXPECT(found.size() == expected.size());
    const bool half = std::any_of(drawn.inputs.begin(), drawn.inputs.end(),
                                  [](const Tensor& input) { return input.defined() && input.dtype() == DType::bf16; });
    for (std::size_t i = 0; i < found.size(); ++i)
      expect_close(found[i], expected[i], half || found[i].dtype() == DType::bf16);
  } catch (const orrery::InputError&) {
  }
  return 0;
}
