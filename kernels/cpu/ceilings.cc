// oneDNN's product as it comes, and a copy in vectors.
#include "kernels/api/ceilings.h"

#include <cstring>
#include <vector>

#include "kernels/cpu/onednn_cache.h"
#include "kernels/cpu/parallel.h"

namespace orrery {

namespace {

class OneDnnProduct : public BareProduct {
 public:
  explicit OneDnnProduct(const BareProductShape& s)
      : a_(memory_of(s, s.m, s.k)), b_(memory_of(s, s.k, s.n)), c_(memory_of(s, s.m, s.n)) {
    const auto descriptor = onednn::matmul_descriptor(onednn::engine(), a_.get_desc(), b_.get_desc(), nullptr,
                                                      c_.get_desc(), dnnl::primitive_attr());
    primitive_ = dnnl::matmul(descriptor);
    for (dnnl::memory* memory : {&a_, &b_, &c_})
      std::memset(memory->get_data_handle(), 0, memory->get_desc().get_size());
  }
  void run() override {
    primitive_.execute(onednn::stream(), {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, c_}});
  }

 private:
  static dnnl::memory memory_of(const BareProductShape& s, std::int64_t rows, std::int64_t columns) {
    using Tag = dnnl::memory::format_tag;
    const auto type = onednn::type_of(s.dtype);
    const dnnl::memory::desc desc = s.batch == 1 ? dnnl::memory::desc({rows, columns}, type, Tag::ab)
                                                 : dnnl::memory::desc({s.batch, rows, columns}, type, Tag::abc);
    return dnnl::memory(desc, onednn::engine());
  }

  dnnl::memory a_, b_, c_;
  dnnl::matmul primitive_;
};

}  // namespace

std::unique_ptr<BareProduct> bare_product(const BareProductShape& shape) {
  if (shape.dtype == DType::bf16 && !onednn::native_bf16()) return nullptr;
  return std::make_unique<OneDnnProduct>(shape);
}

bool has_bf16_products() { return onednn::native_bf16(); }

void stream_copy(const float* from, float* to, std::int64_t count) {
  parallel_blocks(count, 1 << 12, [=](std::int64_t begin, std::int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin) * sizeof(float));
  });
}

}  // namespace orrery
