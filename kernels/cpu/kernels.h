// What each file of this folder registers.
#pragma once

namespace orrery {

/// Applies ORRERY_SIMD (simd_limit.cc). Call it before any kernel runs.
void limit_simd_from_environment();

void add_amx_attention_kernels();
void add_convolution_kernels();
void add_convolution_references();
void add_copy_kernels();
void add_decode_kernels();
void add_decode_index_kernels();
void add_dense_attention_kernels();
void add_dense_attention_references();
void add_dense_attention_simd_kernels();
void add_elementwise_kernels();
void add_elementwise_references();
void add_embedding_kernels();
void add_group_norm_kernels();
void add_grouped_matmul_kernels();
void add_indexing_references();
void add_layer_norm_kernels();
void add_layer_norm_references();
void add_matmul_kernels();
void add_matmul_references();
void add_rms_norm_kernels();
void add_rope_kernels();
void add_moe_kernels();
void add_route_kernels();
void add_hyper_connection_kernels();
void add_indexer_kernels();
void add_norm_kernels();
void add_reduce_kernels();
void add_softmax_kernels();
void add_softmax_references();
void add_attention_kernels();
void add_attention_backward_kernels();
void add_attention_reference_kernels();
void add_compress_reference_kernels();
void add_hyper_connection_reference_kernels();
void add_indexer_reference_kernels();
void add_moe_reference_kernels();
void add_rope_reference_kernels();

}  // namespace orrery
