#include "apps/pipeline/batch/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/base/error.h"

namespace orrery::batch {

namespace fs = std::filesystem;

Journal::Journal(fs::path folder, std::string worker)
    : folder_(std::move(folder)), own_(folder_ / (worker + ".jsonl")) {}

Journal::~Journal() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Journal::refresh() {
  std::error_code error;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder_, error))
    if (entry.path().extension() == ".jsonl") found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  for (const fs::path& path : found) {
    const auto known = std::find_if(files_.begin(), files_.end(), [&](const File& file) { return file.path == path; });
    if (known == files_.end()) files_.push_back({path, 0});
  }
  for (std::uint32_t i = 0; i < files_.size(); ++i) read_new(i);
}

void Journal::read_new(std::uint32_t number) {
  File& file = files_[number];
  // Opened anew each time: over NFS that is when other machines' lines come into view.
  std::ifstream in(file.path, std::ios::binary);
  if (!in) return;
  in.seekg(0, std::ios::end);
  const auto size = static_cast<std::uint64_t>(in.tellg());
  if (size <= file.read) return;
  std::string text(size - file.read, '\0');
  in.seekg(static_cast<std::streamoff>(file.read));
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    note(text.substr(begin, end - begin), number, file.read + begin);
  file.read += begin;
}

void Journal::note(const std::string& text, std::uint32_t file, std::uint64_t offset) {
  if (text.empty()) return;
  const Json json = Json::parse(text, files_[file].path.string());
  const Json *id = json.find("id"), *job = json.find("job"), *status = json.find("status"), *time = json.find("time");
  ORRERY_CHECK(id != nullptr && job != nullptr && status != nullptr && time != nullptr, files_[file].path.string(),
               " has a line that orrery batch did not write");
  Known& known = known_[id->as_string()];
  Entry entry{status->as_string() == "done", job->as_string(), time->as_integer()};
  // The later one counts; of two at once, the clip that was made.
  const bool later = entry.times > known.entry.times || (entry.times == known.entry.times && entry.done);
  if (later) known = {entry, file, static_cast<std::uint32_t>(text.size()), offset};
}

std::optional<Journal::Entry> Journal::find(const std::string& id) const {
  const auto found = known_.find(id);
  if (found == known_.end()) return std::nullopt;
  return found->second.entry;
}

void Journal::append(Json line) {
  const std::string id = line.find("id")->as_string();
  const auto before = find(id);
  line.set("time", before ? before->times + 1 : 1);
  if (descriptor_ < 0) {
    descriptor_ = ::open(own_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && (errno == ENOSPC || errno == EDQUOT))
      throw DiskFullError("cannot write " + own_.string() + ": " + std::strerror(errno));
    ORRERY_ASSERT(descriptor_ >= 0, "cannot write ", own_.string(), ": ", std::strerror(errno));
  }
  const std::string text = line.dump() + "\n";
  const off_t begin = ::lseek(descriptor_, 0, SEEK_END);
  std::size_t done = 0;
  int error = 0;
  while (done < text.size() && error == 0) {
    const ssize_t count = ::write(descriptor_, text.data() + done, text.size() - done);
    if (count >= 0) done += static_cast<std::size_t>(count);
    if (count < 0 && errno != EINTR) error = errno;
  }
  if (error == 0 && ::fsync(descriptor_) != 0) error = errno;
  if (error != 0) {
    const std::string message = "cannot write " + own_.string() + ": " + std::strerror(error);
    ORRERY_ASSERT(::ftruncate(descriptor_, begin) == 0, message);
    if (error == ENOSPC || error == EDQUOT) throw DiskFullError(message);
    throw Error(message);
  }
  refresh();
}

void Journal::for_each(const std::function<void(const std::string&, const Json&)>& use) const {
  for (const auto& [id, known] : known_) use(id, line(id));
}

Json Journal::line(const std::string& id) const {
  const Known& known = known_.at(id);
  const fs::path& path = files_[known.file].path;
  std::ifstream in(path, std::ios::binary);
  std::string text(known.length, '\0');
  in.seekg(static_cast<std::streamoff>(known.offset));
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  ORRERY_ASSERT(in.gcount() == static_cast<std::streamsize>(text.size()), "cannot read ", path.string());
  return Json::parse(text, path.string());
}

}  // namespace orrery::batch
