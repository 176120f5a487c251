// The format: github.com/huggingface/safetensors, README "Format". Files of one tensor list; folders are in
// safetensors_folder.cc.
#include "core/io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "core/base/error.h"
#include "core/io/files.h"
#include "core/io/json.h"

namespace orrery {

static_assert(std::endian::native == std::endian::little, "safetensors bytes are used as they lie in the file");

namespace {

struct DTypeRow {
  FileDType dtype;
  const char* name;
  std::int64_t size;
};
constexpr std::array<DTypeRow, 16> kDTypes = {{
    {FileDType::F64, "F64", 8},
    {FileDType::F32, "F32", 4},
    {FileDType::F16, "F16", 2},
    {FileDType::BF16, "BF16", 2},
    {FileDType::I64, "I64", 8},
    {FileDType::I32, "I32", 4},
    {FileDType::I16, "I16", 2},
    {FileDType::I8, "I8", 1},
    {FileDType::U64, "U64", 8},
    {FileDType::U32, "U32", 4},
    {FileDType::U16, "U16", 2},
    {FileDType::U8, "U8", 1},
    {FileDType::BOOL, "BOOL", 1},
    {FileDType::F8_E4M3, "F8_E4M3", 1},
    {FileDType::F8_E5M2, "F8_E5M2", 1},
    {FileDType::F8_E8M0, "F8_E8M0", 1},
}};

/// The reference implementation's limit, which also bounds what a hostile length can make us read.
constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::string_view kMetadata = "__metadata__";

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

/// Bytes of a tensor, or nothing when it does not fit into 63 bits or a dimension is negative.
std::optional<std::int64_t> byte_count(FileDType dtype, const std::vector<std::int64_t>& shape) {
  std::int64_t bytes = size_of(dtype);
  for (const std::int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(bytes, dimension, &bytes)) return std::nullopt;
  }
  return bytes;
}

/// Reads one header entry. `data` is everything behind the header.
SafetensorsEntry parse_entry(const JsonMember& member, std::span<const std::byte> data, const std::string& source) {
  const std::string where = source + ": tensor \"" + member.key + "\": ";
  ORRERY_CHECK(member.value.is_object(), where, "its description is ", member.value.brief(), ", expected an object");
  for (const JsonMember& field : member.value.as_object()) {
    ORRERY_CHECK(field.key == "dtype" || field.key == "shape" || field.key == "data_offsets", where, "unknown field \"",
                 field.key, "\", expected dtype, shape and data_offsets");
  }
  SafetensorsEntry entry;
  entry.name = member.key;
  const Json* dtype = member.value.find("dtype");
  ORRERY_CHECK(dtype != nullptr && dtype->is_string(), where, "dtype is missing or no string");
  const auto known = file_dtype(dtype->as_string());
  ORRERY_CHECK(known.has_value(), where, "dtype ", dtype->brief(), " is not known");
  entry.dtype = *known;
  const Json* shape = member.value.find("shape");
  ORRERY_CHECK(shape != nullptr && shape->is_array(), where, "shape is missing or no array");
  for (const Json& dimension : shape->as_array()) {
    ORRERY_CHECK(dimension.is_integer() && dimension.as_integer() >= 0, where, "shape holds ", dimension.brief(),
                 ", expected integers from 0");
    entry.shape.push_back(dimension.as_integer());
  }
  const auto expected = byte_count(entry.dtype, entry.shape);
  ORRERY_CHECK(expected.has_value(), where, "shape ", shape_text(entry.shape), " of ", name_of(entry.dtype),
               " overflows");
  const Json* offsets = member.value.find("data_offsets");
  ORRERY_CHECK(offsets != nullptr && offsets->is_array() && offsets->as_array().size() == 2 &&
                   offsets->as_array()[0].is_integer() && offsets->as_array()[1].is_integer(),
               where, "data_offsets is missing or not two integers");
  const std::int64_t begin = offsets->as_array()[0].as_integer(), end = offsets->as_array()[1].as_integer();
  ORRERY_CHECK(begin >= 0 && begin <= end, where, "data_offsets [", begin, ", ", end, "] run backwards");
  const auto size = static_cast<std::int64_t>(data.size());
  ORRERY_CHECK(end <= size, where, "its data ends at byte ", end, " but the file holds ", size,
               " bytes of data: the file is truncated or its header is wrong");
  ORRERY_CHECK(end - begin == *expected, where, entry.describe(), " takes ", *expected, " bytes but data_offsets give ",
               end - begin);
  entry.data = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  return entry;
}

/// Every byte of the data belongs to exactly one tensor.
void check_layout(const std::vector<SafetensorsEntry>& entries, std::span<const std::byte> data,
                  const std::string& source) {
  std::vector<const SafetensorsEntry*> order;
  order.reserve(entries.size());
  for (const auto& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->data.data() != b->data.data() ? a->data.data() < b->data.data() : a->data.size() < b->data.size();
  });
  std::int64_t position = 0;
  for (const SafetensorsEntry* entry : order) {
    const std::int64_t begin = entry->data.data() - data.data();
    ORRERY_CHECK(begin >= position, source, ": tensor \"", entry->name, "\" begins at byte ", begin,
                 " inside the data of another tensor, which ends at ", position);
    ORRERY_CHECK(begin == position, source, ": a hole of ", begin - position, " bytes before tensor \"", entry->name,
                 "\": each byte must belong to a tensor");
    position = begin + static_cast<std::int64_t>(entry->data.size());
  }
  ORRERY_CHECK(position == static_cast<std::int64_t>(data.size()), source, ": ",
               data.size() - static_cast<std::size_t>(position), " bytes after the last tensor belong to none");
}

/// Checks what a caller wants written, and returns it in the file's order.
std::vector<const SafetensorsEntry*> file_order(std::span<const SafetensorsEntry> entries, const std::string& source) {
  std::vector<const SafetensorsEntry*> order;
  order.reserve(entries.size());
  for (const SafetensorsEntry& entry : entries) {
    ORRERY_CHECK(entry.name != kMetadata, source, ": a tensor cannot be named ", kMetadata);
    const auto bytes = byte_count(entry.dtype, entry.shape);
    ORRERY_CHECK(bytes && *bytes == static_cast<std::int64_t>(entry.data.size()), source, ": tensor \"", entry.name,
                 "\": ", entry.describe(), " was given ", entry.data.size(), " bytes");
    order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    const std::int64_t size_a = size_of(a->dtype), size_b = size_of(b->dtype);
    return size_a != size_b ? size_a > size_b : a->name < b->name;
  });
  std::vector<std::string_view> names;
  for (const auto* entry : order) names.push_back(entry->name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  ORRERY_CHECK(twice == names.end(), source, ": two tensors are named \"", twice == names.end() ? "" : *twice, "\"");
  return order;
}

}  // namespace

std::int64_t size_of(FileDType dtype) { return kDTypes[static_cast<std::size_t>(dtype)].size; }
const char* name_of(FileDType dtype) { return kDTypes[static_cast<std::size_t>(dtype)].name; }
std::optional<FileDType> file_dtype(std::string_view name) {
  for (const DTypeRow& row : kDTypes) {
    if (name == row.name) return row.dtype;
  }
  return std::nullopt;
}

std::int64_t SafetensorsEntry::numel() const {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) count *= dimension;
  return count;
}

std::string SafetensorsEntry::describe() const { return std::string(name_of(dtype)) + " " + shape_text(shape); }

SafetensorsContents parse_safetensors(std::span<const std::byte> bytes, const std::string& source) {
  ORRERY_CHECK(bytes.size() >= 8, source, ": ", bytes.size(),
               " bytes are no safetensors file, expected a header length of 8 bytes");
  std::uint64_t header_size = 0;
  for (std::size_t i = 0; i < 8; ++i) header_size |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  ORRERY_CHECK(header_size <= kMaxHeader, source, ": the header's length is ", header_size, ", expected at most ",
               kMaxHeader, ": not a safetensors file");
  ORRERY_CHECK(header_size <= bytes.size() - 8, source, ": the header's length is ", header_size, " but only ",
               bytes.size() - 8, " bytes follow: the file is truncated");
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + 8, header_size);
  ORRERY_CHECK(header.substr(0, 1) == "{", source, ": the header does not start with '{': not a safetensors file");
  const Json json = Json::parse(header, source + ": header");
  const auto data = bytes.subspan(8 + header_size);
  SafetensorsContents contents;
  for (const JsonMember& member : json.as_object()) {
    if (member.key != kMetadata) {
      contents.entries.push_back(parse_entry(member, data, source));
      continue;
    }
    ORRERY_CHECK(member.value.is_object(), source, ": ", kMetadata, " is ", member.value.brief(),
                 ", expected an object");
    for (const JsonMember& pair : member.value.as_object()) {
      ORRERY_CHECK(pair.value.is_string(), source, ": ", kMetadata, " \"", pair.key, "\" is ", pair.value.brief(),
                   ", expected a string");
      contents.metadata.emplace(pair.key, pair.value.as_string());
    }
  }
  check_layout(contents.entries, data, source);
  std::sort(contents.entries.begin(), contents.entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return contents;
}

void write_safetensors(const std::filesystem::path& path, std::span<const SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata) {
  const auto order = file_order(entries, path.string());
  Json::Object header;
  if (!metadata.empty()) {
    Json::Object pairs;
    for (const auto& [key, value] : metadata) pairs.push_back({key, value});
    header.push_back({std::string(kMetadata), std::move(pairs)});
  }
  std::int64_t position = 0;
  for (const SafetensorsEntry* entry : order) {
    const std::int64_t end = position + static_cast<std::int64_t>(entry->data.size());
    header.push_back({entry->name, Json::object({{"dtype", name_of(entry->dtype)},
                                                 {"shape", entry->shape},
                                                 {"data_offsets", Json::Array{position, end}}})});
    position = end;
  }
  std::string text = Json(std::move(header)).dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  ORRERY_CHECK(text.size() <= kMaxHeader, path.string(), ": the header would take ", text.size(), " bytes, at most ",
               kMaxHeader);
  char length[8];
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>((text.size() >> (8 * i)) & 0xFF);
  AtomicFile file(path);
  file.write(length, sizeof length);
  file.write(text);
  for (const SafetensorsEntry* entry : order) file.write(entry->data.data(), entry->data.size());
  file.commit();
}

}  // namespace orrery
