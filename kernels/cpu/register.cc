// The CPU back end's one registration file: a line a kernel, preferred ones first, the plain-loop reference last.
#include "kernels/api/backends.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/training.h"

namespace orrery {

void register_cpu_kernels() {
  static const bool once = [] {
    limit_simd_from_environment();
    add_grouped_matmul_kernels();
    add_matmul_kernels();
    add_optimizer_kernels();
    add_codec_kernels();
    add_convolution_kernels();
    add_convolution_references();
    add_copy_kernels();
    add_decode_kernels();
    add_decode_index_kernels();
    add_dense_attention_simd_kernels();
    add_dense_attention_kernels();
    add_dense_attention_references();
    add_elementwise_kernels();
    add_reduce_kernels();
    add_elementwise_references();
    add_softmax_kernels();
    add_softmax_references();
    add_embedding_kernels();
    add_indexing_references();
    add_rms_norm_kernels();
    add_rope_kernels();
    add_moe_kernels();
    add_layer_norm_kernels();
    add_group_norm_kernels();
    add_layer_norm_references();
    add_route_kernels();
    add_hyper_connection_kernels();
    add_indexer_kernels();
    add_norm_kernels();
    add_amx_attention_kernels();
    add_attention_kernels();
    add_attention_backward_kernels();
    add_attention_reference_kernels();
    add_compress_reference_kernels();
    add_hyper_connection_reference_kernels();
    add_indexer_reference_kernels();
    add_moe_reference_kernels();
    add_rope_reference_kernels();
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace orrery
