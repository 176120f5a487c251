// What each file of this folder registers, and the slots of scratch memory they use.
#pragma once

namespace orrery::gpu {

/// Slots of gpu::scratch: two kernels that run one after the other may share one, two values alive together may not.
enum ScratchSlot {
  kScratchReduce,
  kScratchCast,
  kScratchPartial,
  kScratchRows,
  kScratchMask,
  kScratchBlas,
  kScratchSlots
};

/// Every kernel of this back end, for Device::cuda.
void add_all_kernels();

void add_copy_kernels();
void add_elementwise_kernels();
void add_reduce_kernels();
void add_softmax_kernels();
void add_rms_norm_kernels();
void add_rope_kernels();
void add_compress_kernels();
void add_indexing_kernels();
void add_moe_kernels();
void add_route_kernels();
void add_hyper_connection_kernels();
void add_hyper_connection_backward_kernels();
void add_matmul_kernels();
void add_grouped_tensor_kernels();
void add_grouped_matmul_kernels();
void add_attention_tensor_kernels();
void add_attention_tensor_backward_kernels();
void add_attention_kernels();
void add_attention_backward_kernels();
void add_indexer_kernels();
void add_optimizer_kernels();
void add_codec_kernels();
void add_top_k_kernels();
void add_step_begin_kernels();
void add_step_join_kernels();
void add_step_product_kernels();
void add_step_place_kernels();
void add_step_latent_kernels();
void add_step_index_kernels();
void add_step_attention_kernels();
void add_step_experts_kernels();
void add_step_draw_kernels();

}  // namespace orrery::gpu
