// The bounded cache of oneDNN primitives, and scratch memory a thread. Only kernels/cpu/onednn*.cc include this.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "kernels/cpu/onednn.h"
#include "kernels/cpu/onednn_compat.h"

namespace orrery::onednn {

/// Everything that a primitive depends on, as numbers. Unused places are 0.
struct Key {
  std::array<std::int64_t, 40> values{};
  int used = 0;
  void add(std::int64_t value) { values[static_cast<std::size_t>(used++)] = value; }
  bool operator==(const Key& other) const { return used == other.used && values == other.values; }
};
struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < key.used; ++i)
      hash = (hash ^ static_cast<std::uint64_t>(key.values[static_cast<std::size_t>(i)])) * 0x100000001b3u;
    return static_cast<std::size_t>(hash ^ (hash >> 29));
  }
};

/// A primitive made ready: what it is, where its operands' layouts are, and how much scratch memory it wants.
struct Plan {
  dnnl::primitive primitive;
  dnnl::memory::desc a, b, bias, c;  ///< for a convolution: source, weights, bias, destination
  dnnl::memory::desc scratchpad;
  bool b_is_packed = false;
};

dnnl::engine& engine();
/// oneDNN makes and runs primitives for one thread while one lives (its OpenMP setting belongs to the calling thread).
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int previous_;
};
/// The calling thread's stream. Executions are synchronous, so it only carries the engine.
dnnl::stream& stream();
/// The plan for `key`; `make` is called when there is none yet. The least recently used plan goes when the cache is
/// full.
template <class Make>
std::shared_ptr<const Plan> plan_for(const Key& key, const Make& make);

class PlanCache {
 public:
  std::shared_ptr<const Plan> find(const Key& key);
  void put(const Key& key, std::shared_ptr<const Plan> plan);
  std::int64_t size();

 private:
  struct Slot {
    Key key;
    std::shared_ptr<const Plan> plan;
  };
  std::mutex mutex_;
  std::list<Slot> order_;  ///< most recently used first
  std::unordered_map<Key, std::list<Slot>::iterator, KeyHash> places_;
};
PlanCache& plan_cache();

template <class Make>
std::shared_ptr<const Plan> plan_for(const Key& key, const Make& make) {
  if (auto found = plan_cache().find(key)) return found;
  std::shared_ptr<const Plan> made = std::make_shared<Plan>(make());
  plan_cache().put(key, made);
  return made;
}

/// This thread's scratch memory number `slot` (0 … 3), at least `bytes` long, 64-byte aligned; valid until the next
/// call for the same slot. Grows and stays.
void* scratch(int slot, std::size_t bytes);

inline dnnl::memory::data_type type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return dnnl::memory::data_type::f32;
    case DType::bf16:
      return dnnl::memory::data_type::bf16;
    case DType::i32:
      return dnnl::memory::data_type::s32;
    case DType::i8:
      return dnnl::memory::data_type::s8;
  }
  return dnnl::memory::data_type::undef;
}

void append_activation(dnnl::post_ops& ops, Activation activation);

/// A memory object over somebody's data.
inline dnnl::memory over(const dnnl::memory::desc& desc, const void* data) {
  return {desc, engine(), const_cast<void*>(data)};
}

/// True when a product has bf16 operands and the machine no instructions for them.
bool must_widen(const Gemm& product);
/// What with_copies copies beside bf16 operands.
struct Copies {
  bool round_b = false;   ///< an f32 B, rounded to bf16's grid
  bool together = false;  ///< an operand whose stored rows are pieces of longer ones
};
/// Calls `run` with `product`'s operands in f32: bf16 ones are widened into memory that the calling thread keeps, and a
/// bf16 C is narrowed afterwards.
void with_copies(const Gemm& product, Copies copies, void (*run)(const Gemm&));
/// `matrix` as f32, by all threads, in the calling thread's memory: valid until its next call.
Matrix widened_shared(const Matrix& matrix, std::int64_t rows, std::int64_t columns, bool round);

/// Brings `from` into the layout and dtype of `to`.
void reorder(const dnnl::memory::desc& from, const void* source, const dnnl::memory::desc& to, void* target);

}  // namespace orrery::onednn
