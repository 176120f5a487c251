// oneDNN: the cache of primitives and the matrix product.
#include "kernels/cpu/onednn.h"

#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>

#include <omp.h>

#include "kernels/cpu/onednn_cache.h"

namespace orrery::onednn {

namespace {

using Dims = dnnl::memory::dims;
enum Kind : std::int64_t { kGemm = 1, kReorder = 2 };

// The stream of a thread: executions are synchronous, so it only carries the engine.
dnnl::stream& stream() {
  thread_local dnnl::stream instance(engine());
  return instance;
}

struct ScratchBuffer {
  std::byte* data = nullptr;
  std::size_t size = 0;
  ~ScratchBuffer() { ::operator delete(data, std::align_val_t{64}); }
};

dnnl::memory::desc matrix_descriptor(const Matrix& matrix, DType dtype, std::int64_t batch, std::int64_t rows,
                                     std::int64_t columns) {
  // A dimension of one element has no meaningful stride: give the one that a row-major matrix would have.
  std::int64_t row_stride = matrix.row_stride, column_stride = matrix.column_stride;
  if (rows == 1) row_stride = column_stride == 1 ? columns : 1;
  if (columns == 1) column_stride = row_stride == 1 ? rows : 1;
  if (batch == 1) return {Dims{rows, columns}, type_of(dtype), Dims{row_stride, column_stride}};
  const bool shared = matrix.batch_stride == 0;
  return {Dims{shared ? 1 : batch, rows, columns}, type_of(dtype),
          Dims{shared ? rows * columns : matrix.batch_stride, row_stride, column_stride}};
}

void add_matrix(Key& key, const Matrix& matrix) {
  key.add(static_cast<std::int64_t>(matrix.dtype));
  key.add(matrix.batch_stride);
  key.add(matrix.row_stride);
  key.add(matrix.column_stride);
}

Plan make_gemm(const Gemm& product, bool pack) {
  const auto& [batch, m, n, k, a, b, c, bias, activation, accumulate] = product;
  Plan plan;
  plan.a = matrix_descriptor(a, a.dtype, batch, m, k);
  plan.b = matrix_descriptor(b, a.dtype, batch, k, n);
  plan.c = matrix_descriptor(c, c.dtype, batch, m, n);
  if (bias)
    plan.bias = batch == 1 ? dnnl::memory::desc(Dims{1, n}, type_of(DType::f32), Dims{n, 1})
                           : dnnl::memory::desc(Dims{1, 1, n}, type_of(DType::f32), Dims{n, n, 1});
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  if (accumulate) ops.append_sum(1.0f);
  append_activation(ops, activation);
  attr.set_post_ops(ops);
  const bool repack = pack || a.dtype != b.dtype;
  if (repack && batch == 1) plan.b = dnnl::memory::desc(Dims{k, n}, type_of(a.dtype), dnnl::memory::format_tag::any);
  const auto descriptor = matmul_descriptor(engine(), plan.a, plan.b, bias ? &plan.bias : nullptr, plan.c, attr);
  plan.b_is_packed = repack && batch == 1;
  if (plan.b_is_packed) plan.b = descriptor.weights_desc();
  plan.scratchpad = descriptor.scratchpad_desc();
  plan.primitive = dnnl::matmul(descriptor);
  return plan;
}

}  // namespace

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

int threads_here() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }

PlanCache& plan_cache() {
  static PlanCache* instance = new PlanCache;  // never destroyed: threads may outlive any order
  return *instance;
}

std::shared_ptr<const Plan> PlanCache::find(const Key& key) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(key);
  if (found == places_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return found->second->plan;
}

void PlanCache::put(const Key& key, std::shared_ptr<const Plan> plan) {
  const std::lock_guard lock(mutex_);
  if (places_.count(key)) return;  // another thread was faster
  order_.push_front({key, std::move(plan)});
  places_[key] = order_.begin();
  if (static_cast<std::int64_t>(order_.size()) > kMostPrimitives) {
    places_.erase(order_.back().key);
    order_.pop_back();
  }
}

std::int64_t PlanCache::size() {
  const std::lock_guard lock(mutex_);
  return static_cast<std::int64_t>(order_.size());
}

std::int64_t cached_primitives() { return plan_cache().size(); }

void* scratch(int slot, std::size_t bytes) {
  thread_local std::array<ScratchBuffer, 4> buffers;
  ScratchBuffer& buffer = buffers[static_cast<std::size_t>(slot)];
  if (buffer.size < bytes) {
    ::operator delete(buffer.data, std::align_val_t{64});
    buffer.data = nullptr;
    buffer.size = 0;
    const std::size_t size = bytes + bytes / 4;
    buffer.data = static_cast<std::byte*>(::operator new(size, std::align_val_t{64}));
    buffer.size = size;
  }
  return buffer.data;
}

void append_activation(dnnl::post_ops& ops, Activation activation) {
  switch (activation) {
    case Activation::none:
      return;
    case Activation::relu:
      return append_eltwise(ops, dnnl::algorithm::eltwise_relu, 0, 0);
    case Activation::silu:
      return append_eltwise(ops, dnnl::algorithm::eltwise_swish, 1, 0);
    case Activation::gelu:
      return append_eltwise(ops, dnnl::algorithm::eltwise_gelu_tanh, 0, 0);
  }
}

bool native_bf16() {
  static const bool native = [] {
    switch (dnnl::get_effective_cpu_isa()) {
      case dnnl::cpu_isa::avx512_core_bf16:
      case dnnl::cpu_isa::avx512_core_amx:
        return true;
      default:
        break;
    }
    // Instruction sets that one of the two versions does not name: all of them are supersets of avx512_core_bf16.
    return static_cast<int>(dnnl::get_effective_cpu_isa()) > static_cast<int>(dnnl::cpu_isa::avx512_core_bf16);
  }();
  return native;
}

void reorder(const dnnl::memory::desc& from, const void* source, const dnnl::memory::desc& to, void* target) {
  dnnl::memory in = over(from, source), out = over(to, target);
  dnnl::reorder(in, out).execute(stream(), in, out);
}

void gemm(const Gemm& product, bool pack) {
  Key key;
  key.add(kGemm);
  for (const std::int64_t size : {product.batch, product.m, product.n, product.k}) key.add(size);
  add_matrix(key, product.a);
  add_matrix(key, product.b);
  add_matrix(key, product.c);
  key.add((product.bias ? 1 : 0) | (product.accumulate ? 2 : 0) | (pack ? 4 : 0));
  key.add(static_cast<std::int64_t>(product.activation));
  key.add(threads_here());
  try {
    const auto plan = plan_for(key, [&] { return make_gemm(product, pack); });
    const void* b = product.b.data;
    if (plan->b_is_packed || product.a.dtype != product.b.dtype) {
      void* packed = scratch(1, plan->b.get_size());
      reorder(matrix_descriptor(product.b, product.b.dtype, product.batch, product.k, product.n), b, plan->b, packed);
      b = packed;
    }
    std::unordered_map<int, dnnl::memory> operands{{DNNL_ARG_SRC, over(plan->a, product.a.data)},
                                                   {DNNL_ARG_WEIGHTS, over(plan->b, b)},
                                                   {DNNL_ARG_DST, over(plan->c, product.c.data)}};
    if (product.bias) operands.emplace(DNNL_ARG_BIAS, over(plan->bias, product.bias));
    const std::size_t wanted = plan->scratchpad.get_size();
    if (wanted > 0) operands.emplace(DNNL_ARG_SCRATCHPAD, over(plan->scratchpad, scratch(0, wanted)));
    plan->primitive.execute(stream(), operands);
  } catch (const dnnl::error& error) {
    throw std::runtime_error("[matmul] oneDNN refuses " + std::to_string(product.m) + " x " + std::to_string(product.k) +
                             " by " + std::to_string(product.k) + " x " + std::to_string(product.n) + ": " + error.what());
  }
}

}  // namespace orrery::onednn
