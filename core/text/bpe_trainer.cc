// Learning merges (Sennrich et al. 2016, algorithm 1) with counts kept up to date pair by pair. The order of ties is
// that of HuggingFace's BpeTrainer: the most frequent pair, then the smallest ids; so both learn the same merges.
#include "core/text/bpe_trainer.h"

#include <algorithm>
#include <unordered_map>

#include "core/base/error.h"
#include "core/text/byte_level.h"

namespace orrery {

namespace {

struct Word {
  std::vector<std::int32_t> symbols;
  std::vector<std::int32_t> lengths;  // in bytes
  std::int64_t count;
};

using Pair = std::uint64_t;
Pair make_pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<Pair>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

struct Candidate {
  std::int64_t count;
  Pair pair;
  std::vector<std::int32_t> words;  // indices, sorted, each once
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Trainer {
 public:
  Trainer(const BpeTraining& options) : options_(options) {}

  void add_tokens(const std::map<std::string, std::int64_t>& words) {
    for (const std::string& token : options_.special_tokens) {
      ORRERY_CHECK(!token.empty(), "[train tokenizer] a special token is empty");
      add_token(token);
    }
    std::array<bool, 256> used{};
    used.fill(options_.all_bytes);
    for (const auto& [word, count] : words) {
      for (const char c : word) used[static_cast<unsigned char>(c)] = true;
    }
    std::vector<std::uint8_t> bytes;
    for (int b = 0; b < 256; ++b) {
      if (used[static_cast<std::size_t>(b)]) bytes.push_back(static_cast<std::uint8_t>(b));
    }
    std::sort(bytes.begin(), bytes.end(),
              [](std::uint8_t a, std::uint8_t b) { return byte_alphabet(a) < byte_alphabet(b); });
    std::array<std::int32_t, 256> id_of{};
    for (const std::uint8_t b : bytes) id_of[b] = add_token(to_byte_alphabet(std::string(1, static_cast<char>(b))));
    for (const auto& [text, count] : words) {
      Word word{{}, std::vector<std::int32_t>(text.size(), 1), count};
      for (const char c : text) word.symbols.push_back(id_of[static_cast<unsigned char>(c)]);
      words_.push_back(std::move(word));
    }
  }

  void count_pairs() {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const Word& word = words_[i];
      for (std::size_t k = 0; k + 1 < word.symbols.size(); ++k) {
        const Pair pair = make_pair_key(word.symbols[k], word.symbols[k + 1]);
        counts_[pair] += word.count;
        note(pair, static_cast<std::int32_t>(i));
      }
    }
    queue_changed();
  }

  TrainedBpe run() {
    while (static_cast<std::int64_t>(result_.tokens.size()) < options_.vocabulary_size && !queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end());
      Candidate top = std::move(queue_.back());
      queue_.pop_back();
      const std::int64_t current = counts_[top.pair];
      if (top.count != current) {
        top.count = current;
        push(std::move(top));
        continue;
      }
      if (top.count < 1 || top.count < options_.min_frequency) break;
      merge(top);
    }
    drop_repeated_merges();
    return std::move(result_);
  }

 private:
  std::int32_t add_token(const std::string& spelling) {
    const auto [slot, fresh] = ids_.emplace(spelling, static_cast<std::int32_t>(result_.tokens.size()));
    if (fresh) result_.tokens.push_back(spelling);
    return slot->second;
  }
  void note(Pair pair, std::int32_t word) {
    std::vector<std::int32_t>& words = changed_[pair];
    if (words.empty() || words.back() != word) words.push_back(word);
  }
  void push(Candidate candidate) {
    queue_.push_back(std::move(candidate));
    std::push_heap(queue_.begin(), queue_.end());
  }
  void queue_changed() {
    for (auto& [pair, words] : changed_) {
      const std::int64_t count = counts_[pair];
      if (count > 0) push({count, pair, std::move(words)});
    }
    changed_.clear();
  }

  void merge(const Candidate& top) {
    const auto left = static_cast<std::int32_t>(top.pair >> 32),
               right = static_cast<std::int32_t>(top.pair & 0xFFFFFFFF);
    const std::int32_t made =
        add_token(result_.tokens[static_cast<std::size_t>(left)] + result_.tokens[static_cast<std::size_t>(right)]);
    result_.merges.push_back({left, right, made});
    for (const std::int32_t index : top.words) merge_word(index, left, right, made);
    queue_changed();
  }

  void merge_word(std::int32_t index, std::int32_t left, std::int32_t right, std::int32_t made) {
    Word& word = words_[static_cast<std::size_t>(index)];
    const auto change = [&](std::int32_t a, std::int32_t b, std::int64_t sign) {
      const Pair pair = make_pair_key(a, b);
      counts_[pair] += sign * word.count;
      if (sign > 0) note(pair, index);
    };
    const auto short_enough = [&](std::int32_t length) {
      return options_.max_token_length == 0 || length < options_.max_token_length;
    };
    std::size_t out = 0;
    std::vector<std::int32_t>&symbols = word.symbols, &lengths = word.lengths;
    for (std::size_t i = 0; i < symbols.size(); ++out) {
      if (i + 1 >= symbols.size() || symbols[i] != left || symbols[i + 1] != right) {
        symbols[out] = symbols[i];
        lengths[out] = lengths[i++];
        continue;
      }
      const std::int32_t length = lengths[i] + lengths[i + 1];
      if (out > 0) {
        change(symbols[out - 1], left, -1);
        if (short_enough(lengths[out - 1] + length)) change(symbols[out - 1], made, 1);
      }
      if (i + 2 < symbols.size()) {
        change(right, symbols[i + 2], -1);
        if (short_enough(lengths[i + 2] + length)) change(made, symbols[i + 2], 1);
      }
      symbols[out] = made;
      lengths[out] = length;
      i += 2;
    }
    symbols.resize(out);
    lengths.resize(out);
  }

  /// A pair whose result existed before can be learned twice; the later rank is the one that counts.
  void drop_repeated_merges() {
    std::unordered_map<Pair, std::size_t> last;
    std::vector<BpeMerge>& merges = result_.merges;
    for (std::size_t i = 0; i < merges.size(); ++i) last[make_pair_key(merges[i].left, merges[i].right)] = i;
    std::size_t out = 0;
    for (std::size_t i = 0; i < merges.size(); ++i) {
      if (last[make_pair_key(merges[i].left, merges[i].right)] == i) merges[out++] = merges[i];
    }
    merges.resize(out);
  }

  const BpeTraining& options_;
  TrainedBpe result_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<Pair, std::int64_t> counts_;
  std::unordered_map<Pair, std::vector<std::int32_t>> changed_;
  std::vector<Candidate> queue_;  // a heap
};

}  // namespace

TrainedBpe train_bpe(const std::map<std::string, std::int64_t>& word_counts, const BpeTraining& options) {
  ORRERY_CHECK(options.vocabulary_size > 0, "[train tokenizer] the vocabulary's size is ", options.vocabulary_size,
               ", expected at least 1");
  ORRERY_CHECK(options.max_token_length >= 0, "[train tokenizer] max_token_length is ", options.max_token_length,
               ", expected at least 0");
  Trainer trainer(options);
  trainer.add_tokens(word_counts);
  trainer.count_pairs();
  return trainer.run();
}

}  // namespace orrery
