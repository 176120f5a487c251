// A model folder with random weights, small enough to generate in milliseconds: 32² pixels, 4×4 cells, 16 codes.
#pragma once

#include <string>

#include "core/base/random.h"
#include "core/model/checkpoint.h"
#include "core/model/transformer.h"
#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"
#include "core/text/words.h"
#include "video/latent/codec.h"

namespace orrery::test {

/// `groups`: of the trained context, prompt included (a group is 20 tokens).
inline void write_tiny_model(const std::string& folder, std::uint64_t seed = 1, std::int64_t groups = 7,
                             bool mtp = false, std::int64_t time_factor = 4) {
  bool given = false;
  const auto next = [&given](std::string& text) {
    text = "a red ball bounces on the floor";
    return !std::exchange(given, true);
  };
  TokenizerTraining training;
  training.vocabulary_size = 280;
  Tokenizer tokenizer = Tokenizer::train(next, training);
  const VideoVocabulary vocabulary = VideoVocabulary::append(tokenizer, {4, 4, 16});
  tokenizer.write(folder + "/tokenizer.json");
  KnownWords words;
  words.add("a red ball bounces on the floor");
  words.write(folder + "/words.txt");

  CodecConfig codec;
  codec.time_factor = time_factor;
  codec.width = 8, codec.fine_width = 8;
  codec.encoder_blocks = codec.decoder_blocks = codec.fine_blocks = 1;
  codec.levels = {4, 4};
  Random codec_random(seed, 1);
  save_codec(LatentCodec(codec, codec_random), folder);

  ModelConfig config;
  config.vocab_size = vocabulary.size();
  config.hidden_size = 16, config.moe_intermediate_size = 16;
  config.num_attention_heads = 2, config.head_dim = 8, config.qk_rope_head_dim = 4;
  config.q_lora_rank = 8, config.o_groups = 1, config.o_lora_rank = 8;
  config.sliding_window = 40, config.index_n_heads = 2, config.index_head_dim = 8, config.index_topk = 4;
  config.n_routed_experts = 4, config.num_experts_per_tok = 2;
  config.hc_mult = 2, config.hc_sinkhorn_iters = 4, config.num_nextn_predict_layers = mtp ? 1 : 0;
  config.initializer_range = 0.4;  // so that logits differ much from token to token
  config.csa_rate = 4, config.hca_rate = 20;
  config.compress_rope = {};
  config.layer_types = {AttentionKind::sliding, AttentionKind::csa, AttentionKind::hca};
  config.mlp_layer_types = {MlpKind::hash_moe, MlpKind::moe, MlpKind::moe};
  config.bos_token_id = vocabulary.mark(Mark::bos);
  config.eos_token_id = vocabulary.mark(Mark::text_end);
  config.video = {16, 4, 4, groups * 20, true, true, {4, 4}, {}};
  Random model_random(seed, 2);
  save_model(Transformer(config, model_random), folder, StoredAs::bf16);
}

}  // namespace orrery::test
