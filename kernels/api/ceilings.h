// What the machine gives at best, for benches: the matrix library's own product with nothing of ours around it, and
// copies of memory.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/api/types.h"

namespace orrery {

/// A product [batch, m, k]·[batch, k, n] of dense row-major operands, as the library itself cuts and runs it.
class BareProduct {
 public:
  virtual ~BareProduct() = default;
  virtual void run() = 0;
};
struct BareProductShape {
  std::int64_t batch = 1, m = 0, n = 0, k = 0;
  DType dtype = DType::f32;
};
/// Made ready, its operands set; nullptr where the library has no such product on this machine.
std::unique_ptr<BareProduct> bare_product(const BareProductShape& shape);

/// True when products of bf16 run on the machine's own instructions.
bool has_bf16_products();

/// Copies `count` floats on all threads: one read and one write each.
void stream_copy(const float* from, float* to, std::int64_t count);

}  // namespace orrery
