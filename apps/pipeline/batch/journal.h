// What is finished, in a folder that several processes write to: each appends to a journal of its own, one JSON line a
// job, on disk before anybody counts on it; the manifest is put together from all of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/io/json.h"

namespace orrery::batch {

/// Where things lie in an output folder. All but clips, manifest and index is under .batch.
struct Layout {
  std::filesystem::path folder;
  std::filesystem::path hidden() const { return folder / ".batch"; }
  std::filesystem::path journals() const { return hidden() / "journal"; }
  std::filesystem::path claims() const { return hidden() / "claims"; }
  std::filesystem::path work() const { return hidden() / "work"; }
  std::filesystem::path drawn() const { return hidden() / "drawn"; }
  std::filesystem::path manifest() const { return folder / "manifest.jsonl"; }
};

/// One thread at a time.
class Journal {
 public:
  /// Nothing is made before the first append().
  Journal(std::filesystem::path folder, std::string worker);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  struct Entry {
    bool done = false;       ///< else failed
    std::string job;         ///< hash of what it was made from
    std::int64_t times = 0;  ///< how often it was recorded, with this time
  };
  /// Reads what all processes have added since. A line that is not whole yet is left for later.
  void refresh();
  /// The last word on a job.
  std::optional<Entry> find(const std::string& id) const;
  /// Adds a line with "id", "job" and "status", numbered as "time", and syncs it. Throws DiskFullError or Error, and
  /// then nothing was added.
  void append(Json line);
  /// Hands over the last word on each job, in the order of their ids.
  void for_each(const std::function<void(const std::string& id, const Json& line)>& use) const;
  /// The line of one job.
  Json line(const std::string& id) const;

  std::size_t size() const { return known_.size(); }

 private:
  struct File {
    std::filesystem::path path;
    std::uint64_t read = 0;
  };
  struct Known {
    Entry entry;
    std::uint32_t file = 0, length = 0;
    std::uint64_t offset = 0;
  };
  void read_new(std::uint32_t number);
  void note(const std::string& text, std::uint32_t file, std::uint64_t offset);

  std::filesystem::path folder_, own_;
  int descriptor_ = -1;
  std::vector<File> files_;
  std::map<std::string, Known> known_;
};

}  // namespace orrery::batch
