// Safetensors: round trips, shards, and a refusal for every way in which a file can be wrong.
#include "core/io/safetensors.h"

#include <cstring>

#include "core/base/error.h"
#include "core/io/files.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

SafetensorsEntry entry(const std::string& name, FileDType dtype, std::vector<std::int64_t> shape,
                       const std::string& data) {
  return {name, dtype, std::move(shape), bytes_of(data)};
}

/// A file with this header in front of `data_bytes` zero bytes.
std::string file_of(const std::string& header, std::size_t data_bytes) {
  std::string file(8, '\0');
  const std::uint64_t size = header.size();
  std::memcpy(file.data(), &size, 8);
  return file + header + std::string(data_bytes, '\0');
}

std::string refusal(const std::string& file) {
  // A heap copy of the exact size, so that a sanitizer sees a read past the end.
  const std::vector<char> copy(file.begin(), file.end());
  try {
    parse_safetensors({reinterpret_cast<const std::byte*>(copy.data()), copy.size()}, "w.safetensors");
  } catch (const InputError& error) {
    const std::string message = error.what();
    CHECK(message.rfind("w.safetensors", 0) == 0);
    CHECK(message.find('\n') == std::string::npos);
    return message;
  }
  return "accepted";
}

std::string one(const std::string& fields) { return "{\"a\":{" + fields + "}}"; }

}  // namespace

TEST_CASE("a written file gives back its tensors, and its bytes depend on nothing else", "[safetensors]") {
  const test::TemporaryFolder folder;
  const std::string floats(24, '\1'), halves(4, '\2'), byte("\3"), wide(8, '\4'), none;
  std::vector<SafetensorsEntry> entries = {
      entry("b.weight", FileDType::F32, {2, 3}, floats), entry("a", FileDType::BF16, {2}, halves),
      entry("scalar", FileDType::U8, {}, byte), entry("empty", FileDType::F16, {0, 5}, none),
      entry("wide", FileDType::I64, {1}, wide)};
  write_safetensors(folder / "x.safetensors", entries, {{"format", "pt"}, {"a", "é"}});
  const Safetensors file = Safetensors::open(folder / "x.safetensors");
  REQUIRE(file.entries().size() == 5);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}, {"a", "é"}});
  for (const SafetensorsEntry& wanted : entries) {
    const SafetensorsEntry& found = file.at(wanted.name);
    CHECK(found.dtype == wanted.dtype);
    CHECK(found.shape == wanted.shape);
    REQUIRE(found.data.size() == wanted.data.size());
    CHECK((wanted.data.empty() || std::memcmp(found.data.data(), wanted.data.data(), wanted.data.size()) == 0));
    CHECK(reinterpret_cast<std::uintptr_t>(found.data.data()) % static_cast<std::uintptr_t>(size_of(found.dtype)) == 0);
  }
  CHECK(file.find("c") == nullptr);
  CHECK_THROWS_WITH(file.at("b.wieght"), ContainsSubstring("did you mean \"b.weight\"?"));
  std::reverse(entries.begin(), entries.end());
  write_safetensors(folder / "y.safetensors", entries, {{"a", "é"}, {"format", "pt"}});
  CHECK(read_file(folder / "x.safetensors") == read_file(folder / "y.safetensors"));
}

TEST_CASE("files without tensors and every dtype's name are fine", "[safetensors]") {
  const test::TemporaryFolder folder;
  write_safetensors(folder / "x.safetensors", {});
  CHECK(Safetensors::open(folder / "x.safetensors").entries().empty());
  CHECK(refusal(file_of("{}", 0)) == "accepted");
  CHECK(refusal(file_of("{}      ", 0)) == "accepted");
  for (int i = 0; i < 16; ++i) {
    const auto dtype = static_cast<FileDType>(i);
    CHECK(file_dtype(name_of(dtype)) == dtype);
    CHECK(refusal(file_of(one("\"dtype\":\"" + std::string(name_of(dtype)) + "\",\"shape\":[3],\"data_offsets\":[0," +
                              std::to_string(3 * size_of(dtype)) + "]"),
                          static_cast<std::size_t>(3 * size_of(dtype)))) == "accepted");
  }
}

TEST_CASE("every header field is checked", "[safetensors]") {
  const auto refused = [](const std::string& header, std::size_t data, const char* why) {
    INFO(header);
    CHECK_THAT(refusal(file_of(header, data)), ContainsSubstring(why));
  };
  refused(one(R"("dtype":"F31","shape":[1],"data_offsets":[0,4])"), 4, "dtype \"F31\" is not known");
  refused(one(R"("dtype":3,"shape":[1],"data_offsets":[0,4])"), 4, "dtype is missing or no string");
  refused(one(R"("shape":[1],"data_offsets":[0,4])"), 4, "dtype is missing");
  refused(one(R"("dtype":"F32","data_offsets":[0,4])"), 4, "shape is missing");
  refused(one(R"("dtype":"F32","shape":4,"data_offsets":[0,4])"), 4, "shape is missing or no array");
  refused(one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), 4, "shape holds -1");
  refused(one(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), 4, "shape holds 1");
  refused(one(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4])"), 4, "overflows");
  refused(one(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4])"), 4, "shape holds");
  refused(one(R"("dtype":"F32","shape":[1])"), 4, "data_offsets is missing");
  refused(one(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), 4, "not two integers");
  refused(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,"4"])"), 4, "not two integers");
  refused(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), 4, "run backwards");
  refused(one(R"("dtype":"F32","shape":[1],"data_offsets":[-4,0])"), 4, "run backwards");
  refused(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 4, "truncated");
  refused(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4, "takes 8 bytes but data_offsets give 4");
  refused(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"extra":1)"), 4, "unknown field \"extra\"");
  refused(R"({"a":[1]})", 0, "expected an object");
  refused(
      R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})", 7,
      "inside the data of another tensor");
  refused(
      R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4,
      "inside the data of another tensor");
  refused(
      R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})", 9,
      "a hole of 1 bytes");
  refused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 6, "2 bytes after the last tensor");
  refused(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2,
      "\"a\" appears twice");
  refused(R"({"__metadata__":[]})", 0, "__metadata__ is an array");
  refused(R"({"__metadata__":{"a":1}})", 0, "expected a string");
  refused(R"([1])", 0, "does not start with '{'");
  refused(R"({"a":)", 0, "not valid JSON");
  refused("{\"a\xff\":1}", 0, "not valid JSON");
}

TEST_CASE("a truncated file is refused wherever it is cut", "[safetensors]") {
  const std::string whole = file_of(
      R"({"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[3],"data_offsets":[16,19]}})",
      19);
  REQUIRE(refusal(whole) == "accepted");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK(refusal(whole.substr(0, size)) != "accepted");
  }
  std::string huge = whole;
  huge[7] = '\x7f';
  CHECK_THAT(refusal(huge), ContainsSubstring("not a safetensors file"));
  CHECK_THAT(refusal("not weights at all, but long enough"), ContainsSubstring("not a safetensors file"));
}

TEST_CASE("folders: one file, shards with an index, and going from one to the other", "[safetensors]") {
  const test::TemporaryFolder folder;
  const std::string data(100, '\5');
  std::vector<SafetensorsEntry> entries;
  for (const char* name : {"d", "a", "c", "b"}) entries.push_back(entry(name, FileDType::U8, {100}, data));
  CHECK_THROWS_WITH(Safetensors::open(folder.path()), ContainsSubstring("no weights here"));
  write_safetensors_folder(folder.path(), entries, {{"format", "pt"}}, 250);
  CHECK(folder.count() == 3);
  CHECK(std::filesystem::exists(folder / "model-00002-of-00002.safetensors"));
  const Safetensors sharded = Safetensors::open(folder.path());
  CHECK(sharded.entries().size() == 4);
  CHECK(sharded.entries()[0].name == "a");
  CHECK(sharded.at("d").data.size() == 100);
  CHECK(sharded.metadata().at("format") == "pt");
  CHECK(Safetensors::open(folder / "model.safetensors.index.json").entries().size() == 4);
  write_safetensors_folder(folder.path(), entries, {}, 50);
  CHECK(folder.count() == 5);
  write_file(folder / "config.json", "{}");
  write_safetensors_folder(folder.path(), entries);
  CHECK(folder.count() == 2);
  CHECK(Safetensors::open(folder.path()).entries().size() == 4);
  CHECK(sharded.at("a").data[99] == std::byte{5});  // the old mapping outlives its file
}

TEST_CASE("an index that does not fit its shards is refused", "[safetensors]") {
  const test::TemporaryFolder folder;
  const std::string data(4, '\6');
  write_safetensors(folder / "one.safetensors",
                    std::vector{entry("a", FileDType::U8, {4}, data), entry("b", FileDType::U8, {4}, data)});
  const auto refused = [&](const std::string& index, const char* why) {
    INFO(index);
    write_file(folder / "model.safetensors.index.json", index);
    CHECK_THROWS_WITH(Safetensors::open(folder.path()), ContainsSubstring(why));
  };
  refused(R"({"weight_map":{"a":"one.safetensors"}})", "which the index does not list");
  refused(R"({"weight_map":{"a":"one.safetensors","b":"one.safetensors","c":"one.safetensors"}})",
          "1 tensors are not in the shards");
  refused(R"({"weight_map":{"a":"../one.safetensors"}})", "expected one beside the index");
  refused(R"({"weight_map":{"a":"/etc/passwd"}})", "expected one beside the index");
  refused(R"({"weight_map":{"a":".."}})", "expected one beside the index");
  refused(R"({"weight_map":{"a":7}})", "expected a file name");
  refused(R"({"weight_map":[]})", "weight_map is missing or no object");
  refused(R"({})", "weight_map is missing");
  refused(R"({"weight_map":{"a":"two.safetensors"}})", "two.safetensors: No such file");
}

TEST_CASE("entries that contradict themselves are not written", "[safetensors]") {
  const test::TemporaryFolder folder;
  const std::string data(4, '\7');
  const auto refused = [&](std::vector<SafetensorsEntry> entries, const char* why) {
    CHECK_THROWS_WITH(write_safetensors(folder / "x.safetensors", entries), ContainsSubstring(why));
    CHECK(folder.count() == 0);
  };
  refused({entry("a", FileDType::F32, {2}, data)}, "was given 4 bytes");
  refused({entry("a", FileDType::F32, {-1}, data)}, "was given 4 bytes");
  refused({entry("a", FileDType::F32, {1}, data), entry("a", FileDType::U8, {4}, data)}, "two tensors are named \"a\"");
  refused({entry("__metadata__", FileDType::F32, {1}, data)}, "cannot be named");
}
