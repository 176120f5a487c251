// Model folders: what transformers writes opens here, what is written here comes back under either naming, and what is
// wrong with a folder is said in one line. tests/bench/transformers_opens.py has the other direction.
#include "core/model/checkpoint.h"

#include <cmath>

#include "core/autograd/autograd.h"
#include "core/base/random.h"
#include "core/io/files.h"
#include "core/io/safetensors.h"
#include "core/model/weight_names.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;

namespace {

const std::string kFixtures = std::string(ORRERY_TEST_FIXTURES) + "/deepseek_v4";

Transformer fresh_model(std::int64_t mtp = 1) {
  ModelConfig config = read_model_config(kFixtures + "/saved/config.json");
  config.num_nextn_predict_layers = mtp;
  Random random(6);
  return Transformer(config, random);
}

void check_same(const Transformer& a, const Transformer& b) {
  const auto &left = a.parameters().all(), &right = b.parameters().all();
  REQUIRE(left.size() == right.size());
  for (std::size_t i = 0; i < left.size(); ++i) {
    INFO(left[i].name);
    CHECK(left[i].name == right[i].name);
    CHECK(left[i].value.to_vector() == right[i].value.to_vector());
  }
}

std::string error_of(const std::string& folder) {
  try {
    load_model(folder);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a folder that transformers wrote opens and gives its logits", "[checkpoint]") {
  const Transformer model = load_model(kFixtures + "/saved");
  const Safetensors expected = Safetensors::open(kFixtures + "/saved_expected.safetensors");
  const TensorFile file = open_tensors(kFixtures + "/saved_expected.safetensors");
  const Tensor ids = Tensor::empty(expected.at("ids").shape, DType::i32), logits = Tensor::empty({30, 64});
  file.load_into("ids", ids);
  file.load_into("logits", logits.reshaped({1, 30, 64}));
  const NoGrad guard;
  const auto found = model.logits(model.forward(ids).hidden).to_vector(), wanted = logits.to_vector();
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    worst = std::max(worst, std::abs(double{found[i]} - wanted[i]));
    largest = std::max(largest, std::abs(double{wanted[i]}));
  }
  CHECK(worst <= 2e-4 * largest);  // the parity tests' bound
}

TEST_CASE("a model comes back from a folder under either naming", "[checkpoint]") {
  const test::TemporaryFolder folder;
  const Transformer model = fresh_model();
  for (const WeightNames names : {WeightNames::transformers, WeightNames::released}) {
    save_model(model, folder.path(), StoredAs::f32, names);
    check_same(load_model(folder.path()), model);
    // Rounded once, a value stays: int8 and bf16 survive a second trip.
    for (const StoredAs stored : {StoredAs::bf16, StoredAs::int8}) {
      save_model(model, folder.path(), stored, names);
      const Transformer rounded = load_model(folder.path());
      if (stored == StoredAs::int8) continue;  // its scales are computed anew
      save_model(rounded, folder.path(), stored, names);
      check_same(load_model(folder.path()), rounded);
    }
  }
}

TEST_CASE("released names are those of the published checkpoints", "[checkpoint]") {
  const test::TemporaryFolder folder;
  save_model(fresh_model(), folder.path(), StoredAs::f32, WeightNames::released);
  const Safetensors file = Safetensors::open(folder.path());
  for (const char* name : {"embed.weight", "head.weight", "norm.weight", "hc_head_fn", "layers.0.ffn.gate.tid2eid",
                           "layers.1.ffn.gate.bias", "layers.1.attn.kv_norm.weight", "layers.1.attn.compressor.ape",
                           "layers.1.attn.indexer.compressor.norm.weight", "layers.1.attn.indexer.weights_proj.weight",
                           "layers.2.ffn.experts.3.w2.weight", "layers.2.hc_attn_scale", "mtp.0.e_proj.weight",
                           "mtp.0.attn.attn_sink", "mtp.0.hc_head_base", "mtp.0.ffn.experts.0.w1.weight"})
    CHECK(file.find(name) != nullptr);
  for (const SafetensorsEntry& entry : file.entries()) {
    INFO(entry.name);
    CHECK(entry.name.find("model.") == std::string::npos);
    CHECK(entry.name.find("self_attn") == std::string::npos);
    CHECK(released_name(canonical_name(entry.name)) == entry.name);
  }
  CHECK(canonical_name("model.layers.12.attn.norm.weight") == "model.layers.12.self_attn.kv_norm.weight");
  CHECK(canonical_name("something.else") == "something.else");
}

TEST_CASE("a folder's faults are named in one line", "[checkpoint]") {
  const test::TemporaryFolder folder;
  const auto save = [&](const std::vector<Parameter>& items) {
    save_tensors((folder / "model.safetensors").string(), stored_tensors(items, StoredAs::f32));
  };
  Transformer model = fresh_model(0);
  write_file(folder / "config.json", to_json(model.config()));
  std::vector<Parameter> items = model.parameters().all();
  items[0].name = "model.embed_token.weight";
  items.pop_back();  // lm_head
  save(items);
  const std::string listed = error_of(folder.path());
  for (const char* part : {"model.safetensors: missing tensors", "model.embed_tokens.weight", "lm_head.weight",
                           "unknown tensors model.embed_token.weight"})
    CHECK_THAT(listed, ContainsSubstring(part));
  items = model.parameters().all();
  items[3].value = Tensor::zeros({2, 2});
  save(items);
  CHECK_THAT(error_of(folder.path()), ContainsSubstring(items[3].name) && ContainsSubstring("[2, 2]"));
  items = model.parameters().all();
  items[5].value = items[5].value.clone();
  items[5].value.data<float>()[1] = NAN;
  save(items);
  CHECK_THAT(error_of(folder.path()),
             ContainsSubstring(items[5].name + " holds nan at element 1, expected finite numbers"));
  for (const std::int32_t expert : {-1, 4}) {
    items = model.parameters().all();
    for (Parameter& item : items) {
      if (item.value.dtype() != DType::i32) continue;
      item.value = item.value.clone();
      item.value.data<std::int32_t>()[3] = expert;
    }
    save(items);
    CHECK_THAT(error_of(folder.path()),
               ContainsSubstring("tid2eid names expert " + std::to_string(expert) + ", expected 0 to"));
  }
}
