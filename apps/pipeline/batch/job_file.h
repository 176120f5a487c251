// Job files of batch rendering: JSON Lines, CSV with a header, or a prompt a line (docs/batch.md has the fields). Every
// line is checked when the file is opened; the jobs themselves stay on disk, so that memory does not grow with them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/pipeline/generate.h"

namespace orrery::batch {

/// What a line does not say.
struct JobDefaults {
  std::uint64_t seed = 42;
  double seconds = 10;
  double fps = 0;  ///< 0: the model's
  SamplingOptions sampling = pipeline::kDefaultSampling;
  double cfg_scale = 1;
  std::string model;  ///< folder; empty: the shipped one
};

/// One clip to make.
struct Job {
  std::string id;  ///< the file's stem; where the line gives none, the begin of its content's hash
  std::string prompt, init_image, init_video, actions, model;
  std::uint64_t seed = 42;
  double seconds = 10, fps = 0;
  SamplingOptions sampling;
  double cfg_scale = 1;
  std::int64_t line = 0;  ///< from 1

  /// All that the clip depends on but the weights and the size.
  Json content() const;
};

class JobFile {
 public:
  /// Reads and checks all lines. What is wrong is kept in bad(): malformed lines, unknown fields, values out of range,
  /// ids that are no plain names, two jobs of one id, missing init files. Throws InputError when the file cannot be
  /// read or holds no job.
  JobFile(std::string path, JobDefaults defaults);
  ~JobFile();
  JobFile(const JobFile&) = delete;
  JobFile& operator=(const JobFile&) = delete;

  const std::string& path() const { return path_; }
  /// Good jobs, in the file's order.
  std::int64_t size() const { return static_cast<std::int64_t>(places_.size()); }
  /// What is kept of a job in memory.
  struct Summary {
    std::string id;
    std::uint32_t line = 0, model = 0;  ///< model: its place in models()
    double seconds = 0, fps = 0;
  };
  const Summary& summary(std::int64_t index) const { return places_[static_cast<std::size_t>(index)].summary; }
  /// The models that jobs name, in the order of their first job.
  const std::vector<std::string>& models() const { return models_; }
  /// Reads a job again. Throws InputError when the file was changed meanwhile. From any thread.
  Job read(std::int64_t index) const;

  struct Bad {
    std::int64_t line = 0;
    std::string reason;
  };
  const std::vector<Bad>& bad() const { return bad_; }
  /// "jobs.jsonl:7".
  std::string where(std::int64_t line) const { return path_ + ":" + std::to_string(line); }

 private:
  enum class Format { json_lines, csv, prompts };
  struct Place {
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    Summary summary;
  };
  void scan();
  void take(std::string_view record, std::uint64_t offset, std::int64_t line);
  void refuse_twins();
  Job parse(std::string_view record, std::int64_t line) const;
  Json to_object(std::string_view record) const;

  std::string path_, folder_;
  JobDefaults defaults_;
  int descriptor_ = -1;
  Format format_ = Format::json_lines;
  std::vector<std::string> columns_;  // CSV
  std::vector<std::string> models_;
  std::vector<Place> places_;
  std::vector<Bad> bad_;
};

/// Throws InputError for an id that is no plain file name: letters, digits, '.', '_', '-', at most 100, beginning with
/// a letter or digit.
void check_id(const std::string& id);

/// The fields of one CSV record (RFC 4180: quotes, doubled quotes inside). Throws InputError for a quote out of place.
std::vector<std::string> csv_fields(std::string_view record);

}  // namespace orrery::batch
