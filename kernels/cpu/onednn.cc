// oneDNN: the cache of primitives and the matrix product.
#include "kernels/cpu/onednn.h"

#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>

#include "kernels/cpu/onednn_cache.h"
#include "kernels/cpu/parallel.h"

namespace orrery::onednn {

namespace {

using Dims = dnnl::memory::dims;
constexpr std::int64_t kGemmKind = 1;

struct ScratchBuffer {
  std::byte* data = nullptr;
  std::size_t size = 0;
  ~ScratchBuffer() { ::operator delete (data, std::align_val_t{64}); }
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
  const OneThread guard;
  const auto descriptor = matmul_descriptor(engine(), plan.a, plan.b, bias ? &plan.bias : nullptr, plan.c, attr);
  plan.b_is_packed = repack && batch == 1;
  if (plan.b_is_packed) plan.b = descriptor.weights_desc();
  plan.scratchpad = descriptor.scratchpad_desc();
  plan.primitive = dnnl::matmul(descriptor);
  return plan;
}

std::shared_ptr<const Plan> gemm_plan(const Gemm& product, bool pack) {
  Key key;
  key.add(kGemmKind);
  for (const std::int64_t size : {product.batch, product.m, product.n, product.k}) key.add(size);
  add_matrix(key, product.a);
  add_matrix(key, product.b);
  add_matrix(key, product.c);
  key.add((product.bias ? 1 : 0) | (product.accumulate ? 2 : 0) | (pack ? 4 : 0));
  key.add(static_cast<std::int64_t>(product.activation));
  return plan_for(key, [&] { return make_gemm(product, pack); });
}

// One primitive on the calling thread; `b` is already as the plan wants it.
void run_gemm(const Plan& plan, const Gemm& product, const void* b) {
  const OneThread guard;
  std::unordered_map<int, dnnl::memory> operands{{DNNL_ARG_SRC, over(plan.a, product.a.data)},
                                                 {DNNL_ARG_WEIGHTS, over(plan.b, b)},
                                                 {DNNL_ARG_DST, over(plan.c, product.c.data)}};
  if (product.bias) operands.emplace(DNNL_ARG_BIAS, over(plan.bias, product.bias));
  const std::size_t wanted = plan.scratchpad.get_size();
  if (wanted > 0) operands.emplace(DNNL_ARG_SCRATCHPAD, over(plan.scratchpad, scratch(0, wanted)));
  plan.primitive.execute(stream(), operands);
}

void run_as_it_is(const Gemm& product) { run_gemm(*gemm_plan(product, false), product, product.b.data); }

// B in the layout and dtype of `target`, in the calling thread's scratch memory.
const void* packed_b(const Gemm& product, const dnnl::memory::desc& target) {
  void* packed = scratch(1, target.get_size());
  reorder(matrix_descriptor(product.b, product.b.dtype, product.batch, product.k, product.n), product.b.data, target,
          packed);
  return packed;
}

void* advance(const Matrix& matrix, std::int64_t elements) {
  return static_cast<std::byte*>(matrix.data) + elements * size_of(matrix.dtype);
}

// How a product is cut. Only the shape decides.
struct Cut {
  std::int64_t pieces = 1;
  std::int64_t step = 0;  ///< rows (or columns) of a piece
  bool by_columns = false;
};

Cut cut_of(const Gemm& product) {
  const double flops =
      2.0 * static_cast<double>(product.m) * static_cast<double>(product.n) * static_cast<double>(product.k);
  Cut cut;
  // Measured: along m, but for long sums into wide results, where every piece would copy all of B again.
  cut.by_columns = product.n >= product.m && (product.k >= 2048 || product.m < 64);
  const std::int64_t size = cut.by_columns ? product.n : product.m, least = cut.by_columns ? 64 : 32;
  const std::int64_t wanted = flops < 4e6 ? 1 : flops < 2e9 ? 2 : flops < 8e9 ? 4 : 16;
  cut.step = std::max(least, (size + wanted - 1) / wanted);
  cut.step = (cut.step + least - 1) / least * least;
  cut.pieces = (size + cut.step - 1) / cut.step;
  return cut;
}

Gemm piece_of(const Gemm& product, const Cut& cut, std::int64_t index) {
  Gemm piece = product;
  const std::int64_t first = index * cut.step;
  if (cut.by_columns) {
    piece.n = std::min(cut.step, product.n - first);
    piece.b.data = advance(product.b, first * product.b.column_stride);
    piece.c.data = advance(product.c, first * product.c.column_stride);
    if (product.bias) piece.bias += first;
  } else {
    piece.m = std::min(cut.step, product.m - first);
    piece.a.data = advance(product.a, first * product.a.row_stride);
    piece.c.data = advance(product.c, first * product.c.row_stride);
  }
  return piece;
}

// From this many rows on, bringing a B of at most so many elements into oneDNN's packed order first pays.
constexpr std::int64_t kPackRows = 192, kPackElements = std::int64_t{1} << 21;

// A weight's gradient: A is stored transposed and the sum is long.
constexpr std::int64_t kChunk = 384;
bool long_sums(const Gemm& product) {
  const bool turned = product.a.row_stride == 1 && product.m > 1;
  return turned && product.k >= 2 * kChunk && product.batch == 1 && product.c.dtype == DType::f32;
}

// Long sums of a transposed A in chunks of k that fit the cache. Read in place, the columns of a piece lie a row of the
// whole matrix apart, often a multiple of a page, and push each other out of the cache: half the speed.
template <class Run>
void in_chunks(const Gemm& piece, const Run& run) {
  if (!long_sums(piece)) return run(piece);
  const std::int64_t chunks = (piece.k + kChunk - 1) / kChunk, step = ((piece.k + chunks - 1) / chunks + 15) / 16 * 16;
  for (std::int64_t first = 0; first < piece.k; first += step) {
    Gemm chunk = piece;
    chunk.k = std::min(step, piece.k - first);
    chunk.a.data = advance(piece.a, first * piece.a.column_stride);
    chunk.b.data = advance(piece.b, first * piece.b.row_stride);
    chunk.accumulate = piece.accumulate || first > 0;
    if (first + chunk.k < piece.k) {
      chunk.bias = nullptr;
      chunk.activation = Activation::none;
    }
    run(chunk);
  }
}

// The operand that all pieces read is widened once, by all threads; each piece widens the other one for itself.
void split_copied(const Gemm& product) {
  const Cut cut = cut_of(product);
  bool round_b = product.a.dtype == DType::bf16 && product.b.dtype == DType::f32;
  Gemm whole = product;
  if (cut.pieces > 1 && cut.by_columns && product.a.dtype == DType::bf16) {
    whole.a = widened_shared(product.a, product.m, product.k, false);
  } else if (cut.pieces > 1 && !cut.by_columns && (round_b || product.b.dtype == DType::bf16)) {
    whole.b = widened_shared(product.b, product.k, product.n, round_b);
    round_b = false;
  }
  parallel_tasks(cut.pieces, [&](std::int64_t index) {
    const Copies copies{.round_b = round_b, .together = long_sums(product)};
    in_chunks(piece_of(whole, cut, index), [&](const Gemm& chunk) { with_copies(chunk, copies, run_as_it_is); });
  });
}

void split(const Gemm& product) {
  if (must_widen(product) || (product.a.dtype == DType::f32 && long_sums(product))) return split_copied(product);
  const bool mixed = product.a.dtype != product.b.dtype;
  const bool pack =
      mixed || (product.a.dtype == DType::bf16 && product.m >= kPackRows && product.n * product.k <= kPackElements);
  const Cut cut = cut_of(product);
  if (cut.by_columns || !pack) {
    parallel_tasks(cut.pieces, [&](std::int64_t index) {
      const Gemm piece = piece_of(product, cut, index);
      const auto plan = gemm_plan(piece, mixed);
      run_gemm(*plan, piece, mixed ? packed_b(piece, plan->b) : piece.b.data);
    });
    return;
  }
  // All pieces share one packed B; the last one may be shorter, and then its layout has to be the same to share.
  const auto plan = gemm_plan(piece_of(product, cut, 0), true);
  const void* b = packed_b(product, plan->b);
  parallel_tasks(cut.pieces, [&](std::int64_t index) {
    const Gemm piece = piece_of(product, cut, index);
    const auto own = gemm_plan(piece, true);
    if (own->b == plan->b) return run_gemm(*own, piece, b);
    void* repacked = scratch(2, own->b.get_size());
    reorder(plan->b, b, own->b, repacked);
    run_gemm(*own, piece, repacked);
  });
}

// Small matrices go in groups of one primitive, large ones alone and cut further when they are few.
void batched(const Gemm& product) {
  const double flops =
      2.0 * static_cast<double>(product.m) * static_cast<double>(product.n) * static_cast<double>(product.k);
  const auto part = [&](std::int64_t first, std::int64_t count) {
    Gemm group = product;
    group.batch = count;
    group.a.data = advance(product.a, first * product.a.batch_stride);
    group.b.data = advance(product.b, first * product.b.batch_stride);
    group.c.data = advance(product.c, first * product.c.batch_stride);
    return group;
  };
  if (flops >= 1e9) {
    for (std::int64_t index = 0; index < product.batch; ++index) split(part(index, 1));
    return;
  }
  const std::int64_t group = std::clamp<std::int64_t>(static_cast<std::int64_t>(1e6 / flops), 1, 64);
  parallel_tasks((product.batch + group - 1) / group, [&](std::int64_t index) {
    const Gemm own = part(index * group, std::min(group, product.batch - index * group));
    if (must_widen(own)) return with_copies(own, {.round_b = own.a.dtype != own.b.dtype}, run_as_it_is);
    const auto plan = gemm_plan(own, false);
    run_gemm(*plan, own, own.a.dtype == own.b.dtype ? own.b.data : packed_b(own, plan->b));
  });
}

}  // namespace

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream& stream() {
  thread_local dnnl::stream instance(engine());
  return instance;
}

OneThread::OneThread() : previous_(omp_get_max_threads()) { omp_set_num_threads(1); }
OneThread::~OneThread() { omp_set_num_threads(previous_); }

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
    ::operator delete (buffer.data, std::align_val_t{64});
    buffer.data = nullptr;
    buffer.size = 0;
    const std::size_t size = bytes + bytes / 4;
    buffer.data = static_cast<std::byte*>(::operator new (size, std::align_val_t{64}));
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

void gemm_here(const Gemm& product) {
  if (must_widen(product)) return with_copies(product, {}, run_as_it_is);
  run_as_it_is(product);
}

void gemm(const Gemm& product) {
  try {
    product.batch > 1 ? batched(product) : split(product);
  } catch (const dnnl::error& error) {
    throw std::runtime_error("[matmul] oneDNN refuses " + std::to_string(product.m) + " x " +
                             std::to_string(product.k) + " by " + std::to_string(product.k) + " x " +
                             std::to_string(product.n) + ": " + error.what());
  }
}

}  // namespace orrery::onednn
