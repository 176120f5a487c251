// The back end's list: a line a file of kernels.
#include "kernels/cuda/kernels.h"

namespace orrery::gpu {

void add_all_kernels() {
  add_copy_kernels();
  add_elementwise_kernels();
  add_reduce_kernels();
  add_softmax_kernels();
  add_rms_norm_kernels();
  add_rope_kernels();
  add_compress_kernels();
  add_indexing_kernels();
  add_moe_kernels();
  add_route_kernels();
  add_hyper_connection_kernels();
  add_hyper_connection_backward_kernels();
  add_matmul_kernels();
  add_grouped_tensor_kernels();
  add_grouped_matmul_kernels();
  add_attention_tensor_kernels();
  add_attention_tensor_backward_kernels();
  add_attention_kernels();
  add_attention_backward_kernels();
  add_indexer_kernels();
  add_optimizer_kernels();
  add_codec_kernels();
  add_top_k_kernels();
  add_step_begin_kernels();
  add_step_join_kernels();
  add_step_product_kernels();
  add_step_place_kernels();
  add_step_latent_kernels();
  add_step_index_kernels();
  add_step_attention_kernels();
  add_step_experts_kernels();
  add_step_draw_kernels();
}

}  // namespace orrery::gpu
