// Files that PyTorch wrote (tests/fixtures/make_torch_files.py), and broken ones.
#include "core/io/torch_file.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <string>

#include "core/base/error.h"
#include "core/io/files.h"
#include "core/io/load_tensor.h"
#include "core/io/pickle.h"
#include "tests/support/catch.h"

using namespace orrery;

namespace {

std::string fixture(const std::string& name) { return std::string(ORRERY_TEST_FIXTURES) + "/torch/" + name; }

std::span<const std::byte> as_bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::map<std::string, SafetensorsEntry> by_name(const TorchFile& file) {
  std::map<std::string, SafetensorsEntry> out;
  for (const SafetensorsEntry& entry : file.entries()) out[entry.name] = entry;
  return out;
}

std::vector<float> values(const SafetensorsEntry& entry) { return load_tensor(entry, DType::f32).to_vector(); }

void check_state(const std::map<std::string, SafetensorsEntry>& state, const std::string& prefix) {
  REQUIRE(state.size() == 7);
  const auto at = [&](const std::string& name) { return state.at(prefix + name); };
  CHECK(at("net.weight").describe() == "F32 [2, 3]");
  CHECK(values(at("net.weight")) == std::vector<float>{0, 0.125f, 0.25f, 0.375f, 0.5f, 0.625f});
  CHECK(at("net.half").describe() == "F16 [4]");
  CHECK(values(at("net.half")) == std::vector<float>{1, 1.125f, 1.25f, 1.375f});
  CHECK(at("net.brain").describe() == "BF16 [4]");
  CHECK(values(at("net.brain")) == std::vector<float>{2, 2.125f, 2.25f, 2.375f});
  CHECK(at("net.count").describe() == "I64 []");
  CHECK(at("turned").describe() == "F32 [4, 3]");
  CHECK(values(at("turned")) ==
        std::vector<float>{4, 4.5f, 5, 4.125f, 4.625f, 5.125f, 4.25f, 4.75f, 5.25f, 4.375f, 4.875f, 5.375f});
  CHECK(values(at("part")) == std::vector<float>{4.625f, 4.75f, 5.125f, 5.25f});
  CHECK(at("empty").describe() == "F32 [0, 5]");
}

// A pickle of protocol 2 around `body`.
Pickle pickle(const std::string& body) {
  const std::string text = "\x80\x02" + body;
  return parse_pickle(as_bytes_of(text), "test");
}

}  // namespace

TEST_CASE("torch.save's files, new and old", "[torch]") {
  check_state(by_name(TorchFile::open(fixture("state.pt"))), "state_dict.");
  check_state(by_name(TorchFile::open(fixture("old.pt"))), "");
}

TEST_CASE("entries keep the file's order", "[torch]") {
  const TorchFile file = TorchFile::open(fixture("old.pt"));
  CHECK(file.entries().front().name == "net.weight");
  CHECK(file.entries().back().name == "empty");
}

TEST_CASE("TorchScript's tensors by the attributes that lead to them", "[torch]") {
  const TorchFile file = TorchFile::open(fixture("script.pt"));
  const auto found = by_name(file);
  REQUIRE(found.count("rest.1.mean") == 1);
  CHECK(values(found.at("rest.1.mean")) == std::vector<float>{1, 1.125f});
  CHECK(found.at("first.weight").describe() == "F32 [2, 3]");
  CHECK(std::count_if(found.begin(), found.end(), [](const auto& entry) { return entry.second.numel() > 0; }) == 6);
}

TEST_CASE("cut and bent files are refused, or read as what they still say", "[torch]") {
  for (const char* name : {"state.pt", "old.pt", "script.pt"}) {
    const std::string whole = read_file(fixture(name));
    for (std::size_t cut = 0; cut < whole.size(); cut += 37) {
      const std::string part = whole.substr(0, cut);
      CHECK_THROWS_AS(parse_torch(as_bytes_of(part), name), InputError);
    }
    int refused = 0;
    for (std::size_t i = 0; i < whole.size(); i += 3) {
      std::string bent = whole;
      bent[i] = static_cast<char>(bent[i] ^ 0x5a);
      try {
        for (const SafetensorsEntry& entry : parse_torch(as_bytes_of(bent), name).entries)
          CHECK(entry.data.size() == static_cast<std::size_t>(entry.numel() * size_of(entry.dtype)));
      } catch (const InputError&) {
        ++refused;
      }
    }
    CHECK(refused > 10);
  }
  CHECK_THROWS_AS(TorchFile::open(std::string(ORRERY_TEST_FIXTURES) + "/frechet.txt"), InputError);
}

TEST_CASE("pickles: values, calls that stay names, and what is refused", "[torch]") {
  const Pickle made = pickle(std::string("cos\nsystem\nX\x04\0\0\0halt\x85R.", 23));
  const PickleValue& root = made.at(made.root);
  REQUIRE(root.kind == PickleValue::Kind::object);
  CHECK(made.at(root.items[0]).text == "os.system");
  CHECK(pickle(std::string("\x8a\x02\x01\xff.", 5)).values[0].integer == -255);
  CHECK(pickle("K\x07.").values[0].integer == 7);
  CHECK_THROWS_AS(pickle("0."), InputError);      // pops nothing
  CHECK_THROWS_AS(pickle("t."), InputError);      // no mark
  CHECK_THROWS_AS(pickle("h\x05."), InputError);  // an empty slot
  CHECK_THROWS_AS(pickle("K\x01K\x02"
                         "a."),
                  InputError);                // appends to a number
  CHECK_THROWS_AS(pickle("P."), InputError);  // another protocol's instruction
  CHECK_THROWS_AS(pickle("\x8a\x09"
                         "123456789."),
                  InputError);               // 72 bits
  CHECK_THROWS_AS(pickle("]"), InputError);  // no end
  CHECK_THROWS_AS(parse_pickle(as_bytes_of("\x80\x07."), "test"), InputError);
}
