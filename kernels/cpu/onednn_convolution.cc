// Convolutions through oneDNN, channels last. Each image of a batch is a task of one thread, so the result does not
// depend on the threads; the weights' gradients of fixed groups of images are summed in order.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/api/convolution.h"
#include "kernels/api/registry.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/onednn_cache.h"
#include "kernels/cpu/parallel.h"

namespace orrery {

namespace {

using namespace onednn;
using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;

enum Kind : std::int64_t { kForward = 2, kDataGrad = 3, kWeightGrad = 4 };

// [batch, spatial…, channels] as oneDNN counts: batch, channels, spatial.
Dims logical(const TensorView& view, std::int64_t batch) {
  Dims dims{batch, view.shape[view.rank - 1]};
  for (int d = 1; d + 1 < view.rank; ++d) dims.push_back(view.shape[d]);
  return dims;
}
Tag picture_tag(const TensorView& view) { return view.rank == 5 ? Tag::ndhwc : Tag::nhwc; }
Tag weight_tag(const TensorView& view) { return view.rank == 5 ? Tag::odhwi : Tag::ohwi; }

dnnl::memory::desc picture(const TensorView& view, std::int64_t batch) {
  return {logical(view, batch), type_of(view.dtype), picture_tag(view)};
}
// As the caller has them.
dnnl::memory::desc weights(const TensorView& view) {
  return {logical(view, view.shape[0]), type_of(view.dtype), weight_tag(view)};
}

Dims steps(const TensorView& view, const std::int64_t* values, std::int64_t less = 0) {
  Dims dims;
  for (int d = 0; d + 2 < view.rank; ++d) dims.push_back(values[d] - less);
  return dims;
}

struct Problem {
  Kind kind;
  TensorView x, weight, y;
  const float* bias = nullptr;
  ConvolutionShape shape;
  std::int64_t batch = 1;  ///< images of one call
};

Key key_of(const Problem& problem) {
  Key key;
  key.add(problem.kind);
  key.add(problem.batch);
  key.add(problem.bias ? 1 : 0);
  for (const TensorView* view : {&problem.x, &problem.weight, &problem.y}) {
    key.add(static_cast<std::int64_t>(view->dtype) * 8 + view->rank);
    for (int d = view == &problem.weight ? 0 : 1; d < view->rank; ++d) key.add(view->shape[d]);
  }
  for (int d = 0; d + 2 < problem.x.rank; ++d)
    for (const std::int64_t value : {problem.shape.stride[d], problem.shape.padding[d], problem.shape.dilation[d]})
      key.add(value);
  return key;
}

Plan make_plan(const Problem& problem) {
  const OneThread guard;
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  Plan plan;
  plan.bias = dnnl::memory::desc(Dims{problem.y.shape[problem.y.rank - 1]}, type_of(DType::f32), Tag::a);
  ConvolutionLayout layout;
  layout.x = picture(problem.x, problem.batch);
  layout.y = picture(problem.y, problem.batch);
  const DType compute = problem.x.dtype;
  layout.weight = {logical(problem.weight, problem.weight.shape[0]), type_of(compute), Tag::any};
  layout.strides = steps(problem.x, problem.shape.stride);
  layout.dilates = steps(problem.x, problem.shape.dilation, 1);
  layout.padding = steps(problem.x, problem.shape.padding);
  if (problem.kind == kForward && problem.bias) layout.bias = &plan.bias;
  const auto forward = forward_descriptor(
      engine(), layout,
      problem.kind == kForward ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training, attr);
  const auto finish = [&](const auto& descriptor, const dnnl::memory::desc& weight) {
    plan.a = layout.x;
    plan.b = weight;
    plan.c = layout.y;
    plan.scratchpad = descriptor.scratchpad_desc();
  };
  if (problem.kind == kForward) {
    finish(forward, forward.weights_desc());
    plan.primitive = dnnl::convolution_forward(forward);
  } else if (problem.kind == kDataGrad) {
    const auto descriptor = data_grad_descriptor(engine(), layout, forward, attr);
    finish(descriptor, descriptor.weights_desc());
    plan.primitive = dnnl::convolution_backward_data(descriptor);
  } else {
    layout.weight = {logical(problem.weight, problem.weight.shape[0]), type_of(DType::f32), Tag::any};
    const auto descriptor = weight_grad_descriptor(engine(), layout, forward, attr);
    finish(descriptor, descriptor.diff_weights_desc());
    plan.primitive = dnnl::convolution_backward_weights(descriptor);
  }
  return plan;
}

void execute(const Plan& plan, std::unordered_map<int, dnnl::memory> operands) {
  const OneThread guard;
  const std::size_t wanted = plan.scratchpad.get_size();
  if (wanted > 0) operands.emplace(DNNL_ARG_SCRATCHPAD, over(plan.scratchpad, scratch(0, wanted)));
  plan.primitive.execute(stream(), operands);
}

std::byte* image(const TensorView& view, std::int64_t index) {
  return static_cast<std::byte*>(view.data) + index * (view.numel() / view.shape[0]) * size_of(view.dtype);
}

template <class Body>
void guarded(const char* name, const Body& body) {
  try {
    body();
  } catch (const dnnl::error& error) {
    throw std::runtime_error(std::string("[") + name + "] oneDNN: " + error.what());
  }
}

const char* reason_against(const TensorView& x, const TensorView& weight, const TensorView& y) {
  const auto floating = [](const TensorView& view) { return view.dtype == DType::f32 || view.dtype == DType::bf16; };
  if (!floating(x) || !floating(weight) || x.dtype != y.dtype) return "dtypes are not f32 or bf16 throughout";
  if (x.dtype == DType::f32 && weight.dtype != DType::f32) return "f32 pictures with bf16 weights";
  if (x.dtype == DType::bf16 && !native_bf16()) return "no bf16 instructions";
  if (x.rank != 4 && x.rank != 5) return "neither two nor three spatial dimensions";
  if (x.numel() == 0 || y.numel() == 0 || weight.numel() == 0) return "nothing to do";
  return nullptr;
}

// The weights in the plan's order, in the calling thread's scratch memory.
const void* packed_weights(const Problem& problem, const Plan& plan) {
  void* packed = scratch(1, plan.b.get_size());
  reorder(weights(problem.weight), problem.weight.data, plan.b, packed);
  return packed;
}

void convolution(const ConvolutionArgs& args) {
  guarded(ConvolutionArgs::kOp, [&] {
    const Problem problem{kForward, args.x, args.weight, args.y, args.bias.as<const float>(), args.shape};
    const auto plan = plan_for(key_of(problem), [&] { return make_plan(problem); });
    const void* packed = packed_weights(problem, *plan);
    parallel_tasks(args.x.shape[0], [&](std::int64_t b) {
      std::unordered_map<int, dnnl::memory> operands{{DNNL_ARG_SRC, over(plan->a, image(args.x, b))},
                                                     {DNNL_ARG_WEIGHTS, over(plan->b, packed)},
                                                     {DNNL_ARG_DST, over(plan->c, image(args.y, b))}};
      if (problem.bias) operands.emplace(DNNL_ARG_BIAS, over(plan->bias, problem.bias));
      execute(*plan, std::move(operands));
    });
  });
}

void data_grad(const ConvolutionDataGradArgs& args) {
  guarded(ConvolutionDataGradArgs::kOp, [&] {
    const Problem problem{kDataGrad, args.grad_x, args.weight, args.grad_y, nullptr, args.shape};
    const auto plan = plan_for(key_of(problem), [&] { return make_plan(problem); });
    const void* packed = packed_weights(problem, *plan);
    parallel_tasks(args.grad_x.shape[0], [&](std::int64_t b) {
      execute(*plan, {{DNNL_ARG_DIFF_SRC, over(plan->a, image(args.grad_x, b))},
                      {DNNL_ARG_WEIGHTS, over(plan->b, packed)},
                      {DNNL_ARG_DIFF_DST, over(plan->c, image(args.grad_y, b))}});
    });
  });
}

void weight_grad(const ConvolutionWeightGradArgs& args) {
  constexpr std::int64_t kMostGroups = 8;
  guarded(ConvolutionWeightGradArgs::kOp, [&] {
    const std::int64_t batch = args.x.shape[0], size = (batch + kMostGroups - 1) / kMostGroups,
                       groups = (batch + size - 1) / size;
    Problem problem{kWeightGrad, args.x, args.grad_weight, args.grad_y, nullptr, args.shape, size};
    const std::int64_t count = args.grad_weight.numel();
    std::vector<float> parts(static_cast<std::size_t>(groups * count));
    parallel_tasks(groups, [&](std::int64_t group) {
      Problem own = problem;
      own.batch = std::min(size, batch - group * size);
      const auto plan = plan_for(key_of(own), [&] { return make_plan(own); });
      void* packed = scratch(2, plan->b.get_size());
      execute(*plan, {{DNNL_ARG_SRC, over(plan->a, image(args.x, group * size))},
                      {DNNL_ARG_DIFF_WEIGHTS, over(plan->b, packed)},
                      {DNNL_ARG_DIFF_DST, over(plan->c, image(args.grad_y, group * size))}});
      const OneThread guard;
      reorder(plan->b, packed, weights(args.grad_weight), parts.data() + group * count);
    });
    parallel_blocks(count, 1 << 12, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        float sum = 0;
        for (std::int64_t group = 0; group < groups; ++group) sum += parts[static_cast<std::size_t>(group * count + i)];
        args.grad_weight.as<float>()[i] = sum;
      }
    });
  });
}

}  // namespace

void add_convolution_kernels() {
  add_kernel<ConvolutionArgs>(Device::cpu, "onednn", convolution,
                              [](const ConvolutionArgs& args) { return reason_against(args.x, args.weight, args.y); });
  add_kernel<ConvolutionDataGradArgs>(Device::cpu, "onednn", data_grad, [](const ConvolutionDataGradArgs& args) {
    return reason_against(args.grad_x, args.weight, args.grad_y);
  });
  add_kernel<ConvolutionWeightGradArgs>(Device::cpu, "onednn", weight_grad, [](const ConvolutionWeightGradArgs& args) {
    return reason_against(args.x, args.grad_weight, args.grad_y);
  });
}

}  // namespace orrery
