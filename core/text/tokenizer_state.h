// What a Tokenizer is made of. Private to core/text/tokenizer*.cc.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/io/json.h"
#include "core/text/added_tokens.h"
#include "core/text/bpe.h"
#include "core/text/pretokenizer.h"
#include "core/text/tokenizer.h"

namespace orrery {

struct Tokenizer::State {
  /// The file without `added_tokens`, `model.vocab` and `model.merges`, which are written from the members below.
  Json frame;
  std::shared_ptr<const Bpe> bpe;
  Pretokenizer pretokenizer;
  AddedTokens added;
  /// What the post-processor puts before and behind the text.
  std::vector<std::int32_t> prefix, suffix;
  /// By id: the spelling, and the bytes it stands for.
  std::vector<std::string> spelling, bytes;

  /// Fills `spelling` and `bytes` from the model and the added tokens.
  void build_tables();
};

}  // namespace orrery
