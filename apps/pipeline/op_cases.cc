#include "apps/pipeline/op_cases.h"

#include <algorithm>
#include <memory>

#include "core/autograd/autograd.h"
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
#include "core/optim/optimizer.h"

namespace orrery::pipeline {

namespace {

constexpr std::int64_t kTokens = 8 * 782, kWidth = 256;

std::string shape_text(std::initializer_list<const Tensor*> tensors) {
  std::string text;
  for (const Tensor* tensor : tensors) text += (text.empty() ? "" : " ") + to_string(tensor->shape());
  return text;
}

// Normal numbers, the same few over and over: drawing all of them would take longer than the measurements.
Tensor draw(Shape shape, DType dtype, float deviation = 1.0f) {
  Random random(1);
  const Tensor some = Tensor::randn({std::int64_t{1} << 14}, random, deviation), all = Tensor::empty(std::move(shape));
  for (std::int64_t at = 0; at < all.numel(); at += some.numel())
    std::copy_n(some.data<float>(), std::min(some.numel(), all.numel() - at), all.data<float>() + at);
  return ops::cast(all, dtype);
}

Tensor leaf(Tensor x) {
  x.set_requires_grad(true);
  return x;
}

double size(const Tensor& x) { return static_cast<double>(x.numel()); }
double bytes(std::initializer_list<const Tensor*> tensors) {
  double sum = 0;
  for (const Tensor* tensor : tensors) sum += static_cast<double>(tensor->bytes());
  return sum;
}

/// Forward without a tape.
std::function<void()> forward_of(std::function<Tensor()> op) {
  return [op = std::move(op)] {
    const NoGrad guard;
    op();
  };
}

/// The backward pass alone, of one recorded forward pass. `inputs` are leaves.
std::function<void()> backward_of(const Tensor& out, std::vector<Tensor> inputs) {
  const Tensor seed = draw(out.shape(), out.dtype());
  return [out, seed, inputs = std::move(inputs)] { gradients(out, inputs, seed); };
}

double product_flops(const BareProductShape& p) {
  return 2.0 * static_cast<double>(p.batch) * static_cast<double>(p.m) * static_cast<double>(p.n) *
         static_cast<double>(p.k);
}

// [batch, m, k]·[batch, k, n]; `turned`: A is stored transposed, as in a weight's gradient.
OpCase matmul_case(BareProductShape p, bool turned = false) {
  return {turned         ? "matmul, A transposed"
          : p.batch == 1 ? "matmul"
                         : "matmul, batched",
          [p, turned] {
            const auto batched = [&](std::int64_t rows, std::int64_t columns) {
              return p.batch == 1 ? Shape{rows, columns} : Shape{p.batch, rows, columns};
            };
            const Tensor a = turned ? draw(batched(p.k, p.m), p.dtype) : draw(batched(p.m, p.k), p.dtype);
            const Tensor b = draw(batched(p.k, p.n), p.dtype);
            const Tensor left = turned ? a.alias({p.m, p.k}, {1, p.m}, 0) : a;
            OpWork work;
            work.shape = shape_text({&left, &b});
            work.dtype = p.dtype;
            work.flops = product_flops(p);
            work.product = p;
            work.run = forward_of([left, b] { return ops::matmul(left, b); });
            return work;
          }};
}

OpCase linear_case(DType dtype, bool backward) {
  return {backward ? "linear + bias, backward" : "linear + bias + GELU", [=] {
            const std::int64_t out = 4 * kWidth;
            const Tensor x = leaf(draw({kTokens, kWidth}, dtype)), weight = leaf(draw({out, kWidth}, DType::f32)),
                         bias = leaf(draw({out}, DType::f32));
            OpWork work;
            work.shape = shape_text({&x, &weight});
            work.dtype = dtype;
            work.product = {1, kTokens, out, kWidth, dtype};
            work.flops = product_flops(work.product);
            if (!backward) {
              work.run = forward_of([=] { return ops::linear(x, weight, bias, Activation::gelu); });
              return work;
            }
            work.flops *= 2;
            work.run = backward_of(ops::linear(x, weight, bias), {x, weight, bias});
            return work;
          }};
}

OpCase grouped_case(DType dtype) {
  return {"grouped linear", [=] {
            constexpr std::int64_t kExperts = 8;
            const Tensor x = draw({kTokens, kWidth}, dtype), weight = draw({kExperts, 2 * kWidth, kWidth}, DType::f32);
            std::vector<std::int32_t> bounds;
            for (std::int64_t e = 0; e <= kExperts; ++e)
              bounds.push_back(static_cast<std::int32_t>(kTokens * e / kExperts));
            const Tensor offsets = Tensor::from(bounds, {kExperts + 1});
            OpWork work;
            work.shape = shape_text({&x, &weight});
            work.dtype = dtype;
            work.product = {1, kTokens, 2 * kWidth, kWidth, dtype};
            work.flops = product_flops(work.product);
            work.run = forward_of([=] { return ops::grouped_linear(x, weight, offsets); });
            return work;
          }};
}

OpCase convolution_case(bool three_dimensions) {
  return {three_dimensions ? "conv3d" : "conv2d", [=] {
            const Shape picture = three_dimensions ? Shape{2, 5, 32, 32, 64} : Shape{8, 64, 64, 64};
            const Tensor x = draw(picture, DType::f32),
                         weight = draw(three_dimensions ? Shape{64, 3, 3, 3, 64} : Shape{64, 3, 3, 64}, DType::f32);
            ops::ConvOptions options;
            options.padding = {1};
            OpWork work;
            work.shape = shape_text({&x, &weight});
            work.flops = 2 * size(x) * size(weight) / 64;
            work.run = forward_of([=] {
              return three_dimensions ? ops::conv3d(x, weight, {}, options) : ops::conv2d(x, weight, {}, options);
            });
            return work;
          }};
}

OpCase dense_attention_case(DType dtype, bool backward) {
  return {backward ? "dense attention, causal, backward" : "dense attention, causal", [=] {
            const Shape shape{8, 782, 4, 64};
            const Tensor q = leaf(draw(shape, dtype)), k = leaf(draw(shape, dtype)), v = leaf(draw(shape, dtype));
            const ops::DenseAttentionOptions causal{.causal = true};
            OpWork work;
            work.shape = shape_text({&q});
            work.dtype = dtype;
            const double pairs = 8.0 * 4 * 782 * 783 / 2;
            work.flops = (backward ? 5 : 2) * 2 * pairs * 64;
            work.run = backward ? backward_of(ops::dense_attention(q, k, v, causal), {q, k, v})
                                : forward_of([=] { return ops::dense_attention(q, k, v, causal); });
            return work;
          }};
}

OpCase sliding_attention_case(DType dtype, bool backward) {
  return {backward ? "sliding attention, backward" : "sliding attention", [=] {
            const std::int64_t tokens = 4096, heads = 8, depth = 64, window = 272;
            const Tensor q = leaf(draw({1, tokens, heads, depth}, dtype)), kv = leaf(draw({1, tokens, depth}, dtype));
            ops::SparseAttentionOptions options;
            options.window = window;
            options.scale = 0.125f;
            OpWork work;
            work.shape = shape_text({&q}) + " window 272";
            work.dtype = dtype;
            const double pairs = static_cast<double>(heads * (tokens * window - window * (window - 1) / 2));
            work.flops = (backward ? 5 : 2) * 2 * pairs * static_cast<double>(depth);
            const auto attend = [=] { return ops::sparse_attention(q, kv, {}, {}, {}, options).out; };
            work.run = backward ? backward_of(attend(), {q, kv}) : forward_of(attend);
            return work;
          }};
}

// Ops of one tensor that memory bounds. vector_ops: multiplications, additions and comparisons an element, forward; an
// exponential is 13 of them.
struct RowOp {
  const char* name;
  std::function<Tensor(const Tensor&)> op;
  double vector_ops;
  bool backward;
};
OpCase row_case(const RowOp& row, DType dtype, Shape shape) {
  return {row.backward ? std::string(row.name) + ", backward" : row.name, [=] {
            const Tensor x = leaf(draw(shape, dtype));
            OpWork work;
            work.shape = shape_text({&x});
            work.dtype = dtype;
            // Forward reads x and writes y; backward reads x (or y) and y's gradient and writes x's.
            work.bytes = (row.backward ? 3 : 2) * bytes({&x});
            work.vector_ops = row.vector_ops * size(x);
            // Spread and shifted where read; rounded by four operations and packed by one where written.
            if (dtype == DType::bf16) work.conversions = (row.backward ? 2 * 2 + 5 : 2 + 5) * size(x);
            work.run = row.backward ? backward_of(row.op(x), {x}) : forward_of([=] { return row.op(x); });
            return work;
          }};
}

OpCase add_case(Shape shape) {
  return {"add", [=] {
            const Tensor a = draw(shape, DType::f32), b = draw(shape, DType::f32);
            OpWork work;
            work.shape = shape_text({&a});
            work.bytes = 3 * bytes({&a});
            work.run = forward_of([=] { return ops::add(a, b); });
            return work;
          }};
}

OpCase swiglu_case(DType dtype) {
  return {"SwiGLU", [=] {
            const Tensor x = draw({kTokens, 8 * kWidth}, dtype);
            OpWork work;
            work.shape = shape_text({&x});
            work.dtype = dtype;
            work.bytes = 1.5 * bytes({&x});
            work.vector_ops = 10 * size(x);
            work.run = forward_of([=] { return ops::swiglu(x, 0.0f); });
            return work;
          }};
}

OpCase rope_case() {
  return {"RoPE", [=] {
            const Tensor x = draw({8, 782, 4, 64}, DType::f32), angles = draw({782, 32}, DType::f32);
            OpWork work;
            work.shape = shape_text({&x});
            work.bytes = 2 * bytes({&x}) + 2 * bytes({&angles});
            work.run = forward_of([=] { return ops::rope(x, angles, angles); });
            return work;
          }};
}

OpCase embedding_case() {
  return {"embedding", [] {
            const Tensor table = draw({8028, kWidth}, DType::f32);
            std::vector<std::int32_t> ids;
            Random random(1);
            for (std::int64_t t = 0; t < kTokens; ++t) ids.push_back(static_cast<std::int32_t>(random.below(8028)));
            const Tensor places = Tensor::from(ids, {kTokens});
            OpWork work;
            work.shape = shape_text({&table, &places});
            work.bytes = 2.0 * static_cast<double>(kTokens * kWidth) * 4;
            work.run = forward_of([=] { return ops::embedding(table, places); });
            return work;
          }};
}

OpCase head_case(DType dtype) {
  return {"linear cross entropy, both passes", [=] {
            const Tensor hidden = leaf(draw({kTokens, kWidth}, dtype)),
                         head = leaf(draw({8028, kWidth}, DType::f32, 0.05f));
            const Tensor targets = Tensor::full({kTokens}, 7, DType::i32);
            OpWork work;
            work.shape = shape_text({&hidden, &head});
            work.dtype = dtype;
            work.flops = 3 * 2.0 * static_cast<double>(kTokens * kWidth) * 8028;
            work.run = [=] { ops::linear_cross_entropy(hidden, head, targets); };
            return work;
          }};
}

OpCase adamw_case() {
  return {"AdamW with clipping", [] {
            const auto parameters = std::make_shared<ParameterList>();
            const Tensor weight = draw({4096, 2048}, DType::f32);
            parameters->add("weight", weight, ParameterKind::matrix);
            weight.set_grad(draw({4096, 2048}, DType::f32));
            const auto optimizer = std::make_shared<Optimizer>(*parameters, OptimizerConfig());
            OpWork work;
            work.shape = shape_text({&weight});
            work.bytes = 8 * bytes({&weight});  // the gradient twice, value and both moments read and written
            work.run = [parameters, optimizer] { optimizer->step(1e-3, 1.0); };
            return work;
          }};
}

}  // namespace

std::vector<OpCase> op_cases() {
  std::vector<OpCase> cases;
  constexpr DType kDTypes[] = {DType::f32, DType::bf16};
  struct Product {
    std::int64_t m, n, k;
  };
  constexpr Product kProducts[] = {{1536, 1536, 1536},
                                   {kTokens, 3 * kWidth, kWidth},
                                   {kTokens, 4 * kWidth, kWidth},
                                   {kTokens, kWidth, 4 * kWidth},
                                   {kTokens, 8028, kWidth}};
  for (const DType dtype : kDTypes) {
    for (const auto& [m, n, k] : kProducts) cases.push_back(matmul_case({1, m, n, k, dtype}));
    cases.push_back(matmul_case({1, 4 * kWidth, kWidth, kTokens, dtype}, true));
    cases.push_back(matmul_case({32, 782, 782, 64, dtype}));
    cases.push_back(linear_case(dtype, false));
    cases.push_back(linear_case(dtype, true));
    cases.push_back(grouped_case(dtype));
    for (const bool backward : {false, true}) {
      cases.push_back(dense_attention_case(dtype, backward));
      cases.push_back(sliding_attention_case(dtype, backward));
    }
    cases.push_back(head_case(dtype));
  }
  cases.push_back(convolution_case(false));
  cases.push_back(convolution_case(true));

  const Tensor scale = Tensor::full({kWidth}, 1.0f), wide_scale = Tensor::full({1024}, 1.0f);
  const auto weight_for = [=](const Tensor& x) { return x.dim(-1) == kWidth ? scale : wide_scale; };
  const std::vector<RowOp> rows = {
      {"RMS norm", [=](const Tensor& x) { return ops::rms_norm(x, weight_for(x)); }, 3, false},
      {"layer norm", [=](const Tensor& x) { return ops::layer_norm(x, weight_for(x), weight_for(x)); }, 6, false},
      {"softmax", [](const Tensor& x) { return ops::softmax(x); }, 17, false},
      {"GELU", [](const Tensor& x) { return ops::gelu(x); }, 20, false},
      {"RMS norm", [=](const Tensor& x) { return ops::rms_norm(x, weight_for(x)); }, 6, true},
      {"layer norm", [=](const Tensor& x) { return ops::layer_norm(x, weight_for(x), weight_for(x)); }, 14, true},
      {"softmax", [](const Tensor& x) { return ops::softmax(x); }, 3, true},
      {"GELU", [](const Tensor& x) { return ops::gelu(x); }, 26, true},
  };
  for (const RowOp& row : rows)
    for (const DType dtype : kDTypes) {
      cases.push_back(row_case(row, dtype, {1024, kWidth}));
      cases.push_back(row_case(row, dtype, {16384, 1024}));
    }
  cases.push_back(row_case({"group norm", [](const Tensor& x) { return ops::group_norm(x, 8, {}, {}); }, 6, false},
                           DType::f32, {8, 64, 64, 64}));
  cases.push_back(
      row_case({"transpose", [](const Tensor& x) { return ops::contiguous(ops::transpose(x, 0, 1)); }, 0, false},
               DType::f32, {4096, 4096}));
  cases.push_back(
      row_case({"sum of rows", [](const Tensor& x) { return ops::sum(x, {1}); }, 1, false}, DType::f32, {16384, 1024}));
  cases.push_back(add_case({1024, kWidth}));
  cases.push_back(add_case({16384, 1024}));
  for (const DType dtype : kDTypes) cases.push_back(swiglu_case(dtype));
  cases.push_back(rope_case());
  cases.push_back(embedding_case());
  cases.push_back(adamw_case());
  return cases;
}

}  // namespace orrery::pipeline
