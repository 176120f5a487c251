// Learning byte-pair merges from word counts. Deterministic: the result depends on the counts alone.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/text/bpe.h"

namespace orrery {

struct BpeTraining {
  std::int64_t vocabulary_size = 4096;
  std::int64_t min_frequency = 2;
  std::int64_t max_token_length = 0;  ///< In bytes; 0: no limit.
  bool all_bytes = true;              ///< All 256 bytes are tokens, seen or not.
  std::vector<std::string> special_tokens;
};

struct TrainedBpe {
  std::vector<std::string> tokens;  ///< By id: special tokens, bytes, merged tokens; in the byte-level alphabet.
  std::vector<BpeMerge> merges;
};

/// `word_counts`: words of raw bytes and how often each was seen. Throws InputError for contradictory options.
TrainedBpe train_bpe(const std::map<std::string, std::int64_t>& word_counts, const BpeTraining& options);

}  // namespace orrery
