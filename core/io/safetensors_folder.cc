// Safetensors files kept mapped, alone or as the shards of a folder.
#include <algorithm>
#include <cstdio>
#include <set>
#include <unordered_map>

#include "core/base/error.h"
#include "core/io/fields.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "core/io/safetensors.h"

namespace orrery {

namespace {

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

/// Contents together with the mappings that their entries point into.
struct MappedContents : SafetensorsContents {
  std::vector<std::unique_ptr<MappedFile>> files;

  SafetensorsContents map(const std::filesystem::path& path) {
    files.push_back(std::make_unique<MappedFile>(path));
    return parse_safetensors(files.back()->bytes(), path.string());
  }
};

std::shared_ptr<MappedContents> open_single(const std::filesystem::path& path) {
  auto mapped = std::make_shared<MappedContents>();
  static_cast<SafetensorsContents&>(*mapped) = mapped->map(path);
  return mapped;
}

/// The index's weight map: name → shard file, each a plain file name beside the index.
std::unordered_map<std::string, std::string> read_index(const std::filesystem::path& path,
                                                        std::set<std::string>& shards) {
  const Json json = Json::read(path);
  const Json* map = json.find("weight_map");
  ORRERY_CHECK(map != nullptr && map->is_object(), path.string(), ": weight_map is missing or no object");
  std::unordered_map<std::string, std::string> shard_of;
  for (const JsonMember& member : map->as_object()) {
    ORRERY_CHECK(member.value.is_string(), path.string(), ": weight_map \"", member.key, "\" is ", member.value.brief(),
                 ", expected a file name");
    const std::string& shard = member.value.as_string();
    ORRERY_CHECK(
        !shard.empty() && shard.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos && shard != "..",
        path.string(), ": weight_map names the file ", member.value.brief(), ", expected one beside the index");
    shards.insert(shard);
    shard_of.emplace(member.key, shard);
  }
  return shard_of;
}

std::shared_ptr<MappedContents> open_index(const std::filesystem::path& path) {
  std::set<std::string> shards;
  auto shard_of = read_index(path, shards);
  auto mapped = std::make_shared<MappedContents>();
  for (const std::string& shard : shards) {
    SafetensorsContents part = mapped->map(path.parent_path() / shard);
    for (SafetensorsEntry& entry : part.entries) {
      const auto found = shard_of.find(entry.name);
      ORRERY_CHECK(found != shard_of.end() && found->second == shard, path.string(), ": ", shard,
                   " holds the tensor \"", entry.name, "\", which the index ",
                   found == shard_of.end() ? "does not list" : "places in " + found->second);
      shard_of.erase(found);
      mapped->entries.push_back(std::move(entry));
    }
    mapped->metadata.merge(part.metadata);
  }
  if (!shard_of.empty()) {
    const auto first = std::min_element(shard_of.begin(), shard_of.end());
    throw InputError(path.string() + ": " + std::to_string(shard_of.size()) +
                     " tensors are not in the shards that the index names, the first \"" + first->first + "\" in " +
                     first->second);
  }
  std::sort(mapped->entries.begin(), mapped->entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return mapped;
}

std::string shard_name(std::size_t index, std::size_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return text;
}

bool is_shard_name(const std::string& name) {
  std::size_t index = 0, count = 0;
  return std::sscanf(name.c_str(), "model-%5zu-of-%5zu.safetensors", &index, &count) == 2 && index > 0 &&
         shard_name(index - 1, count) == name;
}

/// Names in order, cut where a shard would grow past the limit; a single larger tensor gets its own.
std::vector<std::vector<SafetensorsEntry>> cut_shards(std::span<const SafetensorsEntry> entries,
                                                      std::int64_t shard_bytes) {
  std::vector<SafetensorsEntry> sorted(entries.begin(), entries.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::vector<std::vector<SafetensorsEntry>> shards(1);
  std::int64_t used = 0;
  for (SafetensorsEntry& entry : sorted) {
    const auto bytes = static_cast<std::int64_t>(entry.data.size());
    if (used > 0 && used + bytes > shard_bytes) {
      shards.emplace_back();
      used = 0;
    }
    used += bytes;
    shards.back().push_back(std::move(entry));
  }
  return shards;
}

}  // namespace

Safetensors Safetensors::open(const std::filesystem::path& path) {
  Safetensors result;
  std::filesystem::path file = path;
  if (std::filesystem::is_directory(path)) {
    file = path / kSingle;
    if (!std::filesystem::exists(file)) file = path / kIndex;
    ORRERY_CHECK(std::filesystem::exists(file), path.string(), ": no weights here, expected ", kSingle, " or ", kIndex);
  }
  result.source_ = file.string();
  const std::shared_ptr<MappedContents> contents = file.extension() == ".json" ? open_index(file) : open_single(file);
  result.contents_ = contents;
  return result;
}

const SafetensorsEntry* Safetensors::find(std::string_view name) const {
  const auto& all = entries();
  const auto found = std::lower_bound(all.begin(), all.end(), name,
                                      [](const auto& entry, std::string_view key) { return entry.name < key; });
  return found != all.end() && found->name == name ? &*found : nullptr;
}

const SafetensorsEntry& Safetensors::at(std::string_view name) const {
  const SafetensorsEntry* entry = find(name);
  if (entry != nullptr) return *entry;
  std::vector<std::string> names;
  for (const auto& known : entries()) names.push_back(known.name);
  throw InputError(source_ + ": no tensor named \"" + std::string(name) + "\"" + did_you_mean(name, names));
}

void write_safetensors_folder(const std::filesystem::path& folder, std::span<const SafetensorsEntry> entries,
                              const std::map<std::string, std::string>& metadata, std::int64_t shard_bytes) {
  const auto shards = cut_shards(entries, shard_bytes);
  std::set<std::string> written;
  if (shards.size() == 1) {
    write_safetensors(folder / kSingle, entries, metadata);
    written.insert(kSingle);
  } else {
    std::int64_t total = 0;
    Json::Object map;
    for (std::size_t i = 0; i < shards.size(); ++i) {
      const std::string name = shard_name(i, shards.size());
      write_safetensors(folder / name, shards[i], metadata);
      written.insert(name);
      for (const SafetensorsEntry& entry : shards[i]) {
        map.push_back({entry.name, name});
        total += static_cast<std::int64_t>(entry.data.size());
      }
    }
    const Json index =
        Json::object({{"metadata", Json::object({{"total_size", total}})}, {"weight_map", std::move(map)}});
    write_file(folder / kIndex, index.dump(2) + "\n");
    written.insert(kIndex);
  }
  std::vector<std::filesystem::path> stale;
  for (const auto& item : std::filesystem::directory_iterator(folder)) {
    const std::string name = item.path().filename().string();
    if ((name == kSingle || name == kIndex || is_shard_name(name)) && written.count(name) == 0)
      stale.push_back(item.path());
  }
  for (const auto& path : stale) std::filesystem::remove(path);
}

}  // namespace orrery
