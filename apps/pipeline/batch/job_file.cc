#include "apps/pipeline/batch/job_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "core/base/error.h"
#include "core/base/sha256.h"
#include "core/io/fields.h"
#include "physics_eval/worlds/actions.h"

namespace orrery::batch {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLongestRecord = std::size_t{1} << 20;
constexpr const char* kNumbers[] = {"seed", "seconds", "fps", "temperature", "top_k", "top_p", "min_p", "cfg_scale"};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

struct Record {
  std::string_view text;
  std::uint64_t offset = 0;  // of its first byte in the file
  std::int64_t line = 1;     // its first
  bool too_long = false;     // and `text` only a part
};

// Splits what is read, chunk by chunk, into records: lines, but for CSV, where a quoted field may go on in the next
// line.
class Splitter {
 public:
  explicit Splitter(bool quotes) : quotes_(quotes) {}

  template <class Take>
  void feed(std::string_view chunk, Take take) {
    if (at_ == 0 && chunk.substr(0, kMark.size()) == kMark) skip(chunk, kMark.size()), open_.offset = at_;
    while (!chunk.empty()) {
      const std::size_t end = chunk.find('\n');
      const bool line_ends = end != std::string_view::npos;
      const std::string_view piece = chunk.substr(0, end);
      skip(chunk, piece.size() + (line_ends ? 1 : 0));
      line_ += line_ends ? 1 : 0;
      if (quotes_ && std::count(piece.begin(), piece.end(), '"') % 2 != 0) quoted_ = !quoted_;
      if (line_ends && !quoted_ && carried_.empty() && !open_.too_long) {
        end_record(piece, take);  // the common case copies nothing
        continue;
      }
      open_.too_long = open_.too_long || carried_.size() + piece.size() > kLongestRecord;
      if (!open_.too_long) carried_ += piece;
      if (!open_.too_long && line_ends && quoted_) carried_ += '\n';
      if (line_ends && !quoted_) end_record(carried_, take);
    }
  }
  template <class Take>
  void finish(Take take) {
    end_record(carried_, take);
  }

 private:
  static constexpr std::string_view kMark = "\xEF\xBB\xBF";

  void skip(std::string_view& chunk, std::size_t count) {
    chunk.remove_prefix(count);
    at_ += count;
  }
  template <class Take>
  void end_record(std::string_view text, Take& take) {
    open_.text = text;
    take(open_);
    carried_.clear();
    open_ = {{}, at_, line_, false};
  }

  bool quotes_, quoted_ = false;
  std::string carried_;  // the open record's begin, from lines and chunks before
  std::uint64_t at_ = 0;
  std::int64_t line_ = 1;
  Record open_;
};

void check_values(const Job& job) {
  pipeline::check_prompt(job.prompt);
  ORRERY_CHECK(std::isfinite(job.seconds) && job.seconds > 0 && job.seconds <= 86400, "seconds is ", job.seconds,
               ", expected more than 0, at most 86400");
  ORRERY_CHECK(std::isfinite(job.fps) && job.fps >= 0, "fps is ", job.fps, ", expected more than 0");
  ORRERY_CHECK(std::isfinite(job.cfg_scale) && job.cfg_scale >= 0 && job.cfg_scale <= 100, "cfg_scale is ",
               job.cfg_scale, ", expected 0 to 100");
  job.sampling.validate();
  worlds::parse_actions(job.actions);
  ORRERY_CHECK(job.init_image.empty() || job.init_video.empty(), "init_img and init_video contradict each other");
  for (const std::string& file : {job.init_image, job.init_video})
    ORRERY_CHECK(file.empty() || fs::is_regular_file(file), "the init file ", file, " is not there");
}

}  // namespace

void check_id(const std::string& id) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  ORRERY_CHECK(
      !id.empty() && id.size() <= 100 && std::all_of(id.begin(), id.end(), plain) && plain(id[0]) && id[0] != '.' &&
          id[0] != '_' && id[0] != '-',
      "the id is ", Json(id).brief(),
      ", expected a plain name: letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 100");
}

std::vector<std::string> csv_fields(std::string_view record) {
  std::vector<std::string> fields(1);
  bool quoted = false, closed = false;
  for (std::size_t i = 0; i < record.size(); ++i) {
    const char c = record[i];
    if (quoted) {
      if (c != '"') {
        fields.back() += c;
      } else if (i + 1 < record.size() && record[i + 1] == '"') {
        fields.back() += record[++i];
      } else {
        quoted = false, closed = true;
      }
    } else if (c == ',') {
      fields.emplace_back();
      closed = false;
    } else if (c == '"' && fields.back().empty() && !closed) {
      quoted = true;
    } else {
      ORRERY_CHECK(c != '"' && !closed, "a quote out of place in field ", fields.size());
      fields.back() += c;
    }
  }
  ORRERY_CHECK(!quoted, "a quote that is never closed");
  return fields;
}

Json Job::content() const {
  Json json = Json::object({{"prompt", prompt}, {"seed", seed}, {"seconds", seconds}, {"fps", fps}});
  json.set("temperature", sampling.temperature);
  json.set("top_k", sampling.top_k);
  json.set("top_p", sampling.top_p);
  json.set("min_p", sampling.min_p);
  json.set("cfg_scale", cfg_scale);
  json.set("init_img", init_image);
  json.set("init_video", init_video);
  json.set("actions", actions);
  return json;
}

JobFile::JobFile(std::string path, JobDefaults defaults) : path_(std::move(path)), defaults_(std::move(defaults)) {
  ORRERY_CHECK(!fs::is_directory(path_), "cannot read ", path_, ": it is a folder, expected a file of jobs");
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  ORRERY_CHECK(descriptor_ >= 0, "cannot read ", path_, ": ", std::strerror(errno));
  folder_ = fs::path(path_).parent_path().string();
  try {
    scan();
    ORRERY_CHECK(!places_.empty() || !bad_.empty(), path_, " holds no jobs");
    refuse_twins();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

JobFile::~JobFile() { ::close(descriptor_); }

void JobFile::scan() {
  const std::string extension = fs::path(path_).extension().string();
  bool known = true;
  if (extension == ".csv") {
    format_ = Format::csv;
  } else if (extension == ".txt") {
    format_ = Format::prompts;
  } else {
    known = extension == ".jsonl" || extension == ".ndjson" || extension == ".json";
  }
  const auto end_record = [&](const Record& record) {
    const std::string_view text = trimmed(record.text);
    if (record.too_long) return bad_.push_back({record.line, "longer than a megabyte"});
    if (text.empty()) return;
    if (!known) format_ = text.front() == '{' ? Format::json_lines : Format::prompts;
    known = true;
    take(record.text, record.offset, record.line);
  };
  Splitter splitter(format_ == Format::csv);
  std::string chunk(std::size_t{1} << 20, '\0');
  for (std::uint64_t at = 0;;) {
    const ssize_t count = ::pread(descriptor_, chunk.data(), chunk.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    ORRERY_CHECK(count >= 0, "cannot read ", path_, ": ", std::strerror(errno));
    if (count == 0) break;
    splitter.feed(std::string_view(chunk.data(), static_cast<std::size_t>(count)), end_record);
    at += static_cast<std::uint64_t>(count);
  }
  splitter.finish(end_record);
}

void JobFile::take(std::string_view record, std::uint64_t offset, std::int64_t line) {
  ORRERY_CHECK(line < std::numeric_limits<std::int32_t>::max(), path_, " has too many lines");
  if (format_ == Format::csv && columns_.empty()) {
    for (const std::string& name : csv_fields(trimmed(record))) columns_.emplace_back(trimmed(name));
    ORRERY_CHECK(std::count(columns_.begin(), columns_.end(), "prompt") == 1, where(line),
                 ": expected a header that names a column \"prompt\"");
    return;
  }
  try {
    const Job job = parse(record, line);
    Place place;
    place.offset = offset, place.length = static_cast<std::uint32_t>(record.size());
    auto model = std::find(models_.begin(), models_.end(), job.model);
    if (model == models_.end()) model = models_.insert(models_.end(), job.model);
    place.summary = {job.id, static_cast<std::uint32_t>(line), static_cast<std::uint32_t>(model - models_.begin()),
                     job.seconds, job.fps};
    places_.push_back(place);
  } catch (const Error& error) {
    bad_.push_back({line, error.what()});
  }
}

Json JobFile::to_object(std::string_view record) const {
  if (format_ == Format::json_lines) return Json::parse(trimmed(record), "not a JSON object");
  if (format_ == Format::prompts) return Json::object({{"prompt", trimmed(record)}});
  const std::vector<std::string> fields = csv_fields(trimmed(record));
  ORRERY_CHECK(fields.size() == columns_.size(), "found ", fields.size(), " fields, expected the header's ",
               columns_.size());
  Json json = Json::object();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].empty()) continue;
    ORRERY_CHECK(json.find(columns_[i]) == nullptr, "two columns are named ", Json(columns_[i]).brief());
    const bool number = std::find(std::begin(kNumbers), std::end(kNumbers), columns_[i]) != std::end(kNumbers);
    Json value(fields[i]);
    if (number) {
      value = Json::parse(trimmed(fields[i]), columns_[i]);
      ORRERY_CHECK(value.is_number(), columns_[i], " is ", Json(fields[i]).brief(), ", expected a number");
    }
    json.set(columns_[i], value);
  }
  return json;
}

Job JobFile::parse(std::string_view record, std::int64_t line) const {
  const Json json = to_object(record);
  const Fields fields(json, "job");
  Job job;
  job.line = line;
  job.prompt = fields.text("prompt");
  job.seed = static_cast<std::uint64_t>(fields.integer_or("seed", static_cast<std::int64_t>(defaults_.seed),
                                                          {0, std::numeric_limits<std::int64_t>::max()}));
  job.seconds = fields.number_or("seconds", defaults_.seconds);
  job.fps = fields.number_or("fps", defaults_.fps);
  job.sampling = defaults_.sampling;
  job.sampling.temperature = fields.number_or("temperature", job.sampling.temperature);
  job.sampling.top_k = fields.integer_or("top_k", job.sampling.top_k);
  job.sampling.top_p = fields.number_or("top_p", job.sampling.top_p);
  job.sampling.min_p = fields.number_or("min_p", job.sampling.min_p);
  job.cfg_scale = fields.number_or("cfg_scale", defaults_.cfg_scale);
  job.actions = fields.text_or("actions", "");
  job.model = fields.text_or("model", defaults_.model);
  // Files are named from where the job file lies.
  const auto file = [&](const char* name) {
    const std::string given = fields.text_or(name, "");
    return given.empty() ? given : (fs::path(folder_) / given).string();
  };
  job.init_image = file("init_img");
  job.init_video = file("init_video");
  job.id = fields.text_or("id", "");
  const bool named = fields.has("id");
  fields.refuse_unknown();
  check_values(job);
  if (named) check_id(job.id);
  if (!named) {
    Json content = job.content();
    content.set("model", job.model);
    job.id = sha256_hex(content.dump()).substr(0, 16);
  }
  return job;
}

// Two jobs of one id: the later line is bad.
void JobFile::refuse_twins() {
  std::vector<std::uint32_t> order(places_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
  const auto key = [this](std::uint32_t i) -> const std::string& { return places_[i].summary.id; };
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
  std::vector<char> twin(places_.size(), 0);
  for (std::size_t i = 1, first = 0; i < order.size(); ++i) {
    if (key(order[i]) != key(order[first])) {
      first = i;
      continue;
    }
    twin[order[i]] = 1;
    bad_.push_back({places_[order[i]].summary.line, "the id " + key(order[i]) + " is that of line " +
                                                        std::to_string(places_[order[first]].summary.line) +
                                                        "; give it another id or seed"});
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (twin[i] == 0) std::swap(places_[kept++], places_[i]);
  places_.resize(kept);
  std::stable_sort(bad_.begin(), bad_.end(), [](const Bad& a, const Bad& b) { return a.line < b.line; });
}

Job JobFile::read(std::int64_t index) const {
  const Place& place = places_[static_cast<std::size_t>(index)];
  std::string record(place.length, '\0');
  std::size_t done = 0;
  while (done < record.size()) {
    const ssize_t count =
        ::pread(descriptor_, record.data() + done, record.size() - done, static_cast<off_t>(place.offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  const std::string changed = where(place.summary.line) + ": the file was changed while it was in use";
  ORRERY_CHECK(done == record.size(), changed);
  Job job = parse(record, place.summary.line);
  ORRERY_CHECK(job.id == place.summary.id, changed);
  return job;
}

}  // namespace orrery::batch
