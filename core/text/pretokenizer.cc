#include "core/text/pretokenizer.h"

#include "core/base/error.h"
#include "core/io/fields.h"

namespace orrery {

namespace {

/// GPT-2's word pattern (encoder.py).
constexpr const char* kGpt2Words = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace

Pretokenizer Pretokenizer::from_json(const Json& json, const std::string& where) {
  Pretokenizer result;
  if (!json.is_null()) result.add(json, where);
  ORRERY_CHECK(result.closed_, where, ": no ByteLevel step found; only byte-level tokenizers are supported");
  return result;
}

Pretokenizer::Behaviour Pretokenizer::behaviour_from(const std::string& name, const std::string& where) {
  if (name == "Removed") return Behaviour::removed;
  if (name == "Isolated") return Behaviour::isolated;
  if (name == "MergedWithPrevious") return Behaviour::merged_with_previous;
  if (name == "MergedWithNext") return Behaviour::merged_with_next;
  if (name == "Contiguous") return Behaviour::contiguous;
  throw InputError(where + ": behavior \"" + name +
                   "\" is not known, expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

void Pretokenizer::add(const Json& json, const std::string& where) {
  const Fields fields(json, where);
  const std::string type = fields.text("type");
  ORRERY_CHECK(!closed_, where, ": a step of type ", type, " after ByteLevel is not supported");
  if (type == "Sequence") {
    const Json& steps = fields.raw("pretokenizers");
    ORRERY_CHECK(steps.is_array(), where, ": pretokenizers is ", steps.brief(), ", expected an array");
    for (std::size_t i = 0; i < steps.as_array().size(); ++i)
      add(steps.as_array()[i], where + ".pretokenizers[" + std::to_string(i) + "]");
  } else if (type == "Split") {
    const Fields pattern = fields.object("pattern");
    const bool regex = pattern.has("Regex");
    const std::string text = regex ? pattern.text("Regex") : pattern.text("String");
    ORRERY_CHECK(!text.empty(), where, ": the pattern is empty");
    steps_.push_back({regex ? Regex::compile(text) : Regex::literal(text),
                      behaviour_from(fields.text("behavior"), where), fields.boolean_or("invert", false)});
  } else if (type == "Digits") {
    const bool single = fields.boolean_or("individual_digits", false);
    steps_.push_back({Regex::compile("\\p{N}"), single ? Behaviour::isolated : Behaviour::contiguous, false});
  } else if (type == "ByteLevel") {
    prefix_space_ = fields.boolean_or("add_prefix_space", true);
    if (fields.boolean_or("use_regex", true))
      byte_level_.push_back({Regex::compile(kGpt2Words), Behaviour::isolated, false});
    closed_ = true;
  } else {
    throw InputError(where + ": pre-tokenizers of type \"" + type +
                     "\" are not supported, expected Split, Digits, Sequence or ByteLevel");
  }
}

void Pretokenizer::apply(const Step& step, std::string_view text, std::vector<std::string_view>& words) {
  const auto emit = [&](std::size_t begin, std::size_t end) {
    if (begin < end) words.push_back(text.substr(begin, end - begin));
  };
  Regex::Matcher matcher(step.regex, text);
  std::size_t begin = 0, end = 0, last = 0;
  if (step.behaviour == Behaviour::isolated) {
    // By far the commonest case needs no list of pieces.
    while (matcher.next(begin, end)) {
      emit(last, begin);
      emit(begin, end);
      last = end;
    }
    emit(last, text.size());
    return;
  }
  std::vector<Piece> pieces;
  while (matcher.next(begin, end)) {
    if (last != begin) pieces.push_back({last, begin, step.invert});
    pieces.push_back({begin, end, !step.invert});
    last = end;
  }
  if (last != text.size()) pieces.push_back({last, text.size(), step.invert});
  // Each behaviour joins or drops neighbours; `joined` collects a run that is not yet complete.
  if (step.behaviour == Behaviour::removed) {
    for (const Piece& piece : pieces) {
      if (!piece.match) emit(piece.begin, piece.end);
    }
    return;
  }
  std::size_t run = 0;
  for (std::size_t i = 1; i <= pieces.size(); ++i) {
    bool join = false;
    if (i < pieces.size()) {
      const bool before = pieces[i - 1].match, here = pieces[i].match;
      if (step.behaviour == Behaviour::contiguous) join = before == here;
      // A match joins its neighbour unless that neighbour is a match too.
      if (step.behaviour == Behaviour::merged_with_previous) join = here && !before;
      if (step.behaviour == Behaviour::merged_with_next) join = before && !here;
    }
    if (join) continue;
    emit(pieces[run].begin, pieces[i - 1].end);
    run = i;
  }
}

void Pretokenizer::split(std::string_view text, std::vector<std::string_view>& words,
                         std::deque<std::string>& owned) const {
  if (text.empty()) return;
  if (steps_.empty() && !prefix_space_ && byte_level_.size() == 1) {
    apply(byte_level_.front(), text, words);
    return;
  }
  std::vector<std::string_view> pieces{text}, next;
  for (const Step& step : steps_) {
    next.clear();
    for (const std::string_view piece : pieces) apply(step, piece, next);
    pieces.swap(next);
  }
  for (std::string_view piece : pieces) {
    if (prefix_space_ && piece.front() != ' ') {
      owned.push_back(" " + std::string(piece));
      piece = owned.back();
    }
    if (byte_level_.empty()) {
      words.push_back(piece);
    } else {
      apply(byte_level_.front(), piece, words);
    }
  }
}

}  // namespace orrery
