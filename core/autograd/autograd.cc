#include "core/autograd/autograd.h"

#include <atomic>
#include <queue>
#include <unordered_map>
#include <utility>

#include "core/base/parallel.h"
#include "core/ops/backends.h"
#include "core/tensor/tensor_impl.h"
#include "kernels/api/bfloat16.h"
#include "kernels/api/elementwise.h"

namespace orrery {

using detail::TapeEdge;
using detail::TensorImpl;

namespace {

thread_local bool recording = true;
std::atomic<std::uint64_t> next_sequence{1};

// A tensor's place on the tape: (node, output) of an inner one, (leaf, 0) of a leaf.
using Place = std::pair<const void*, int>;
struct PlaceHash {
  std::size_t operator()(const Place& place) const {
    return std::hash<const void*>()(place.first) * 31 + static_cast<std::size_t>(place.second);
  }
};
using Collected = std::unordered_map<Place, Tensor, PlaceHash>;

TapeEdge edge_of(const Tensor& tensor) {
  if (!tensor.defined()) return {};
  const auto& impl = TensorImpl::of(tensor);
  if (impl->node) return {impl->node, impl->output_index, nullptr, impl->shape};
  return {nullptr, 0, impl->requires_grad ? impl : nullptr, impl->shape};
}

Place place_of(const TapeEdge& edge) {
  return edge.node ? Place{edge.node.get(), edge.output_index} : Place{edge.leaf.get(), 0};
}

template <class T>
Tensor sum_of(const Tensor& a, const Tensor& b) {
  const Tensor result = Tensor::empty_like(a);
  const T *left = a.data<T>(), *right = b.data<T>();
  T* out = result.data<T>();
  parallel_for(a.numel(), 1 << 15, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) out[i] = from_float<T>(to_float(left[i]) + to_float(right[i]));
  });
  return result;
}

void accumulate(Tensor& into, const Tensor& gradient) {
  const Tensor addend = gradient.contiguous() ? gradient : gradient.clone();
  if (!into.defined()) {
    into = addend;
  } else if (into.device() != Device::cpu) {
    const DType dtype = into.dtype() == addend.dtype() ? into.dtype() : DType::f32;
    const Tensor sum = Tensor::empty(into.shape(), dtype, into.device());
    ops::run(BinaryArgs{into.view(), addend.view(), sum.view(), Binary::add});
    into = sum;
  } else if (into.dtype() == DType::bf16 && addend.dtype() == DType::bf16) {
    into = sum_of<BFloat16>(into, addend);
  } else {
    into = sum_of<float>(into.to(DType::f32), addend.to(DType::f32));
  }
}

struct EarlierFirst {
  bool operator()(const std::shared_ptr<TapeNode>& a, const std::shared_ptr<TapeNode>& b) const {
    return a->sequence < b->sequence;
  }
};

// Walks the tape from the latest node to the earliest.
class Walk {
 public:
  /// `wanted`: collect for these places only; nullptr: add to the leaves' grad().
  explicit Walk(Collected* wanted) : wanted_(wanted) {}

  void deliver(const TapeEdge& target, const Tensor& gradient, const char* from) {
    if (!gradient.defined() || (!target.node && !target.leaf)) return;
    ORRERY_ASSERT(gradient.shape() == target.shape, "[", from, "] backward gave a gradient of shape ",
                  to_string(gradient.shape()), " for an input of shape ", to_string(target.shape));
    if (wanted_) {
      if (auto found = wanted_->find(place_of(target)); found != wanted_->end()) accumulate(found->second, gradient);
    }
    if (target.node) {
      auto [slot, fresh] = arrived_.try_emplace(target.node.get());
      if (fresh) {
        slot->second.resize(static_cast<std::size_t>(target.node->output_count));
        ready_.push(target.node);
      }
      accumulate(slot->second[static_cast<std::size_t>(target.output_index)], gradient);
    } else if (!wanted_) {
      accumulate(target.leaf->grad, gradient);
    }
  }

  void run(bool keep) {
    NoGrad guard;
    while (!ready_.empty()) {
      const std::shared_ptr<TapeNode> node = ready_.top();
      ready_.pop();
      const std::vector<Tensor> grads = std::move(arrived_[node.get()]);
      arrived_.erase(node.get());
      ORRERY_ASSERT(node->backward, "[", node->name, "] backward ran before and freed its tape; pass keep = true");
      const std::vector<Tensor> input_grads = node->backward(grads);
      ORRERY_ASSERT(input_grads.size() <= node->inputs.size(), "[", node->name, "] backward gave ", input_grads.size(),
                    " gradients for ", node->inputs.size(), " inputs");
      for (std::size_t i = 0; i < input_grads.size(); ++i) deliver(node->inputs[i], input_grads[i], node->name);
      if (!keep) {
        node->backward = nullptr;
        node->inputs.clear();
      }
    }
  }

 private:
  Collected* wanted_;
  std::unordered_map<const TapeNode*, std::vector<Tensor>> arrived_;  ///< gradients at a node's outputs so far
  std::priority_queue<std::shared_ptr<TapeNode>, std::vector<std::shared_ptr<TapeNode>>, EarlierFirst> ready_;
};

Tensor seed_of(const Tensor& loss, const Tensor& seed) {
  if (seed.defined()) {
    ORRERY_CHECK(seed.shape() == loss.shape(), "[backward] seed of shape ", to_string(seed.shape()),
                 " for a loss of shape ", to_string(loss.shape()));
    return seed;
  }
  ORRERY_CHECK(loss.numel() == 1, "[backward] the loss has shape ", to_string(loss.shape()), ", expected one element");
  return Tensor::full(loss.shape(), 1.0f, loss.dtype(), loss.device());
}

}  // namespace

bool grad_enabled() { return recording; }

NoGrad::NoGrad() : previous_(recording) { recording = false; }
NoGrad::~NoGrad() { recording = previous_; }

bool needs_tape(std::initializer_list<const Tensor*> inputs) {
  if (!recording) return false;
  for (const Tensor* input : inputs)
    if (input->requires_grad()) return true;
  return false;
}

bool needs_tape(const std::vector<Tensor>& inputs) {
  if (!recording) return false;
  for (const Tensor& input : inputs)
    if (input.requires_grad()) return true;
  return false;
}

void record(const char* name, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
            std::function<std::vector<Tensor>(const std::vector<Tensor>&)> backward_function) {
  if (!needs_tape(inputs)) return;
  auto node = std::make_shared<TapeNode>();
  node->name = name;
  node->sequence = next_sequence.fetch_add(1, std::memory_order_relaxed);
  for (const Tensor& input : inputs) node->inputs.push_back(edge_of(input));
  node->output_count = static_cast<int>(outputs.size());
  node->backward = std::move(backward_function);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].defined()) continue;
    const auto& impl = TensorImpl::of(outputs[i]);
    impl->node = node;
    impl->output_index = static_cast<int>(i);
    impl->requires_grad = true;
  }
}

void backward(const Tensor& loss, const Tensor& seed, bool keep) {
  ORRERY_CHECK(loss.requires_grad(), "[backward] the loss depends on nothing that requires a gradient");
  Walk walk(nullptr);
  walk.deliver(edge_of(loss), seed_of(loss, seed), "backward");
  walk.run(keep);
}

std::vector<Tensor> gradients(const Tensor& loss, const std::vector<Tensor>& inputs, const Tensor& seed) {
  ORRERY_CHECK(loss.requires_grad(), "[gradients] the loss depends on nothing that requires a gradient");
  Collected wanted;
  for (const Tensor& input : inputs) wanted[place_of(edge_of(input))] = Tensor();
  Walk walk(&wanted);
  walk.deliver(edge_of(loss), seed_of(loss, seed), "gradients");
  walk.run(/*keep=*/true);
  std::vector<Tensor> result;
  for (const Tensor& input : inputs) result.push_back(wanted[place_of(edge_of(input))]);
  return result;
}

std::vector<Tensor> checkpoint(std::function<std::vector<Tensor>(const std::vector<Tensor>&)> forward,
                               std::vector<Tensor> inputs) {
  if (!grad_enabled()) return forward(inputs);
  std::vector<Tensor> outputs;
  {
    NoGrad guard;
    outputs = forward(inputs);
  }
  // Parameters inside may need gradients even when no input does: an anchor keeps the node on the tape.
  std::vector<Tensor> recorded = inputs;
  recorded.push_back(Tensor::zeros({1}).set_requires_grad(true));
  record("checkpoint", recorded, outputs, [forward = std::move(forward), inputs](const std::vector<Tensor>& grads) {
    std::vector<Tensor> leaves;
    for (const Tensor& input : inputs) {
      leaves.push_back(input.defined() ? input.detach() : Tensor());
      if (input.defined()) leaves.back().set_requires_grad(input.requires_grad());
    }
    recording = true;
    const std::vector<Tensor> again = forward(leaves);
    recording = false;
    Walk walk(nullptr);
    for (std::size_t i = 0; i < again.size(); ++i) walk.deliver(edge_of(again[i]), grads[i], "checkpoint");
    walk.run(/*keep=*/false);
    std::vector<Tensor> result;
    for (const Tensor& leaf : leaves) result.push_back(leaf.grad());
    return result;
  });
  return outputs;
}

}  // namespace orrery
