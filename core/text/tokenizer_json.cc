// tokenizer.json: reading with every field checked, and writing as HuggingFace does.
#include <algorithm>
#include <limits>
#include <numeric>

#include "core/base/error.h"
#include "core/io/fields.h"
#include "core/io/files.h"
#include "core/text/byte_level.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_state.h"

namespace orrery {

namespace {

/// Bounds what a hostile id can make us allocate; the largest published vocabularies have some 260,000 tokens.
constexpr std::int64_t kMaxId = 16'000'000;

std::vector<std::string> read_vocabulary(const Json& vocabulary, const std::string& where) {
  ORRERY_CHECK(vocabulary.is_object(), where, ": vocab is ", vocabulary.brief(),
               ", expected an object of tokens and ids");
  // Ids may leave gaps, which added tokens fill; a gap far beyond the tokens is a broken file.
  const auto count = static_cast<std::int64_t>(vocabulary.as_object().size());
  std::vector<std::string> tokens;
  for (const JsonMember& member : vocabulary.as_object()) {
    ORRERY_CHECK(member.value.is_integer() && member.value.as_integer() >= 0 &&
                     member.value.as_integer() <= std::min(kMaxId, count * 4 + 1000),
                 where, ": vocab gives \"", member.key, "\" the id ", member.value.brief(),
                 ", expected an integer from 0 near the ", count, " tokens");
    ORRERY_CHECK(!member.key.empty(), where, ": vocab holds an empty token");
    const auto id = static_cast<std::size_t>(member.value.as_integer());
    if (id >= tokens.size())
      tokens.resize(std::max(id + 1, std::min(tokens.size() * 2, static_cast<std::size_t>(count))));
    ORRERY_CHECK(tokens[id].empty(), where, ": vocab gives \"", tokens[id], "\" and \"", member.key, "\" the same id ",
                 id);
    tokens[id] = member.key;
  }
  while (!tokens.empty() && tokens.back().empty()) tokens.pop_back();
  return tokens;
}

/// Merges are ["a", "b"] pairs, or "a b" in older files.
std::vector<BpeMerge> read_merges(const Json& merges, const std::vector<std::string>& tokens,
                                  const std::string& where) {
  ORRERY_CHECK(merges.is_array(), where, ": merges is ", merges.brief(), ", expected an array");
  std::unordered_map<std::string_view, std::int32_t> ids;
  ids.reserve(tokens.size());
  for (std::size_t id = 0; id < tokens.size(); ++id) ids.emplace(tokens[id], static_cast<std::int32_t>(id));
  std::vector<BpeMerge> result;
  result.reserve(merges.as_array().size());
  const auto id_of = [&](std::string_view token) {
    const auto found = token.empty() ? ids.end() : ids.find(token);
    ORRERY_CHECK(found != ids.end(), where, ": merges[", result.size(), "] needs the token \"", token,
                 "\", which is not in vocab");
    return found->second;
  };
  for (const Json& merge : merges.as_array()) {
    std::string left, right;
    if (merge.is_string()) {
      const std::string& text = merge.as_string();
      const std::size_t space = text.find(' ');
      ORRERY_CHECK(space != std::string::npos && text.find(' ', space + 1) == std::string::npos, where, ": merges[",
                   result.size(), "] is ", merge.brief(), ", expected two tokens with a space between them");
      left = text.substr(0, space);
      right = text.substr(space + 1);
    } else {
      ORRERY_CHECK(merge.is_array() && merge.as_array().size() == 2 && merge.as_array()[0].is_string() &&
                       merge.as_array()[1].is_string(),
                   where, ": merges[", result.size(), "] is ", merge.brief(), ", expected two tokens");
      left = merge.as_array()[0].as_string();
      right = merge.as_array()[1].as_string();
    }
    result.push_back({id_of(left), id_of(right), id_of(left + right)});
  }
  return result;
}

Bpe read_model(const Fields& model, const std::string& where) {
  const std::string type = model.text_or("type", "BPE");
  ORRERY_CHECK(type == "BPE", where, ": models of type \"", type, "\" are not supported, expected BPE");
  for (const char* field : {"continuing_subword_prefix", "end_of_word_suffix"})
    ORRERY_CHECK(model.text_or(field, "").empty(), where, ": ", field, " is not supported, expected none");
  ORRERY_CHECK(model.number_or("dropout", 0) == 0, where, ": dropout is not supported, expected none");
  Bpe::Options options{model.text_or("unk_token", ""), model.boolean_or("fuse_unk", false),
                       model.boolean_or("ignore_merges", false)};
  auto tokens = read_vocabulary(model.raw("vocab"), where);
  auto merges = read_merges(model.raw("merges"), tokens, where);
  Bpe bpe(std::move(tokens), std::move(merges), std::move(options));
  ORRERY_CHECK(bpe.covers_all_bytes() || !model.boolean_or("byte_fallback", false), where,
               ": byte_fallback is only supported where every byte is a token");
  return bpe;
}

void read_added_tokens(const Fields& file, const Bpe& bpe, AddedTokens& added, const std::string& where) {
  if (!file.has("added_tokens")) return;
  for (const Fields& fields : file.objects("added_tokens")) {
    AddedToken token;
    token.content = fields.text("content");
    token.id = static_cast<std::int32_t>(fields.integer("id", {0, kMaxId}));
    token.single_word = fields.boolean_or("single_word", false);
    token.lstrip = fields.boolean_or("lstrip", false);
    token.rstrip = fields.boolean_or("rstrip", false);
    token.normalized = fields.boolean_or("normalized", true);
    token.special = fields.boolean_or("special", false);
    const std::int32_t known = bpe.find(token.content);
    ORRERY_CHECK(known < 0 || known == token.id, where, ": the added token \"", token.content, "\" has the id ",
                 token.id, " but vocab says ", known);
    const auto id = static_cast<std::size_t>(token.id);
    ORRERY_CHECK(known >= 0 || id >= bpe.tokens().size() || bpe.tokens()[id].empty(), where, ": the added token \"",
                 token.content, "\" has the id ", token.id, ", which vocab gives to \"", bpe.tokens()[id], "\"");
    added.add(std::move(token));
  }
}

/// One template of a TemplateProcessing: what goes before and behind the sequence A.
void read_template(const Fields& processor, const std::string& where, std::vector<std::int32_t>& prefix,
                   std::vector<std::int32_t>& suffix) {
  bool seen = false;
  for (const Fields& piece : processor.objects("single")) {
    if (piece.has("Sequence")) {
      ORRERY_CHECK(!seen, where, ": post_processor.single holds the text twice");
      seen = true;
      continue;
    }
    const std::string name = piece.object("SpecialToken").text("id");
    const auto ids = processor.object("special_tokens").object(name).integers("ids", {0, kMaxId});
    for (const std::int64_t id : ids) (seen ? suffix : prefix).push_back(static_cast<std::int32_t>(id));
  }
  ORRERY_CHECK(seen, where, ": post_processor.single does not hold the text");
}

void read_post_processor(const Json& json, const std::string& where, std::vector<std::int32_t>& prefix,
                         std::vector<std::int32_t>& suffix) {
  if (json.is_null()) return;
  const Fields fields(json, where + ": post_processor");
  const std::string type = fields.text("type");
  if (type == "Sequence") {
    const Json& parts = fields.raw("processors");
    ORRERY_CHECK(parts.is_array(), where, ": post_processor.processors is ", parts.brief(), ", expected an array");
    for (const Json& part : parts.as_array()) read_post_processor(part, where, prefix, suffix);
  } else if (type == "TemplateProcessing") {
    ORRERY_CHECK(prefix.empty() && suffix.empty(), where, ": two templates in post_processor are not supported");
    read_template(fields, where, prefix, suffix);
  } else {
    ORRERY_CHECK(type == "ByteLevel", where, ": post-processors of type \"", type,
                 "\" are not supported, expected ByteLevel or TemplateProcessing");
  }
}

/// Only what leaves the text as it is may stand where a normalizer is expected.
void check_normalizer(const Json& json, const std::string& where) {
  if (json.is_null()) return;
  const Fields fields(json, where + ": normalizer");
  const std::string type = fields.text("type");
  const Json& parts = fields.raw("normalizers");
  ORRERY_CHECK(type == "Sequence" && parts.is_array(), where, ": normalizers of type \"", type,
               "\" are not supported, expected none");
  for (const Json& part : parts.as_array()) check_normalizer(part, where);
}

void check_decoder(const Json& json, const std::string& where) {
  if (json.is_null()) return;
  const Fields fields(json, where + ": decoder");
  const std::string type = fields.text("type");
  if (type == "Sequence") {
    const Json& parts = fields.raw("decoders");
    ORRERY_CHECK(parts.is_array() && parts.as_array().size() == 1, where, ": decoder.decoders is ", parts.brief(),
                 ", expected one decoder");
    return check_decoder(parts.as_array()[0], where);
  }
  ORRERY_CHECK(type == "ByteLevel", where, ": decoders of type \"", type, "\" are not supported, expected ByteLevel");
}

Json added_token_json(const AddedToken& token) {
  return Json::object({{"id", token.id},
                       {"content", token.content},
                       {"single_word", token.single_word},
                       {"lstrip", token.lstrip},
                       {"rstrip", token.rstrip},
                       {"normalized", token.normalized},
                       {"special", token.special}});
}

}  // namespace

Tokenizer Tokenizer::read(const std::filesystem::path& path) {
  const auto file = std::filesystem::is_directory(path) ? path / "tokenizer.json" : path;
  return parse(read_file(file), file.string());
}

Tokenizer Tokenizer::parse(std::string_view text, const std::string& source) {
  auto state = std::make_shared<State>();
  state->frame = Json::parse(text, source);
  const Fields file(state->frame, source);
  const std::string version = file.text_or("version", "1.0");
  ORRERY_CHECK(version == "1.0", source, ": version is \"", version, "\", expected \"1.0\"");
  check_normalizer(file.raw("normalizer"), source);
  check_decoder(file.raw("decoder"), source);
  try {
    state->pretokenizer = Pretokenizer::from_json(file.raw("pre_tokenizer"), source + ": pre_tokenizer");
    state->bpe = std::make_shared<const Bpe>(read_model(file.object("model"), source + ": model"));
    read_added_tokens(file, *state->bpe, state->added, source);
  } catch (const InputError& error) {
    // Checks inside the parts do not know the file's name.
    const std::string message = error.what();
    throw InputError(message.rfind(source, 0) == 0 ? message : source + ": " + message);
  }
  read_post_processor(file.raw("post_processor"), source, state->prefix, state->suffix);
  state->build_tables();
  for (const auto* ids : {&state->prefix, &state->suffix}) {
    for (const std::int32_t id : *ids)
      ORRERY_CHECK(static_cast<std::size_t>(id) < state->spelling.size(), source, ": post_processor adds the id ", id,
                   ", which no token has");
  }
  for (const char* large : {"vocab", "merges"}) {
    if (Json* slot = state->frame.find("model")->find(large)) *slot = Json();
  }
  state->frame.set("added_tokens", Json());
  return Tokenizer(std::move(state));
}

std::string Tokenizer::dump(int indent) const {
  const State& state = *state_;
  Json file = state.frame;
  Json::Array added;
  std::vector<AddedToken> sorted = state.added.all();
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const AddedToken& token : sorted) added.push_back(added_token_json(token));
  file.set("added_tokens", std::move(added));
  const std::vector<std::string>& tokens = state.bpe->tokens();
  Json::Object vocabulary;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty()) vocabulary.push_back({tokens[id], id});
  }
  Json::Array merges;
  for (const BpeMerge& merge : state.bpe->merges())
    merges.push_back(
        Json::Array{tokens[static_cast<std::size_t>(merge.left)], tokens[static_cast<std::size_t>(merge.right)]});
  Json* model = file.find("model");
  model->set("vocab", std::move(vocabulary));
  model->set("merges", std::move(merges));
  return file.dump(indent);
}

void Tokenizer::write(const std::filesystem::path& path) const { write_file(path, dump()); }

}  // namespace orrery
