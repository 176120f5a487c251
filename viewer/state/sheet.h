// A folder of clips at a glance: what is in it, and a small picture of each clip, read on a thread of its own. A batch
// folder is listed by its manifest (failed jobs with their reason), a data set by its clips.jsonl; any other by name.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "viewer/state/reel.h"

namespace orrery::viewer {

struct SheetClip {
  /// Empty for a job that has no file.
  std::string path;
  /// The file's name without its ending, or the job's id.
  std::string name;
  /// Prompt or caption; may be empty.
  std::string words;
  /// Why there is no file.
  std::string reason;
  std::optional<double> score;
};

class Sheet {
 public:
  /// Pixels of a small picture's longer side, and bytes of them held at most.
  static constexpr int kSide = 192;
  static constexpr std::size_t kBudget = std::size_t{64} << 20;

  /// Returns at once; what is wrong with the folder is in error() later.
  explicit Sheet(const std::string& folder, std::size_t budget = kBudget);
  /// Stops after the picture in work.
  ~Sheet();

  const std::string& folder() const;
  /// The list is still being read.
  bool listing() const;
  /// One line; empty while all is well.
  std::string error() const;
  /// Null while listing. In order of manifest or clips.jsonl; what they do not name follows by name.
  std::shared_ptr<const std::vector<SheetClip>> clips() const;

  /// Says which clips are looked at ([first, last)): their pictures come first and stay.
  void attend(std::size_t first, std::size_t last);
  /// The clip's middle frame, small; null when not there (yet).
  Picture picture(std::size_t clip) const;
  /// Why it has no picture; empty otherwise.
  std::string trouble(std::size_t clip) const;
  /// Bytes of the pictures held now.
  std::size_t held() const;
  /// Waits until the list and the pictures looked at are there: for tests and scripts.
  void settle() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orrery::viewer
