#include "apps/pipeline/batch/clip_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "core/base/error.h"
#include "core/base/sha256.h"
#include "core/io/files.h"
#include "video/io/writer.h"

namespace orrery::batch {

namespace fs = std::filesystem;

namespace {

// Made if missing; a link that leads elsewhere is refused, since nothing outside the folder may be touched.
Layout prepared(const std::string& folder) {
  Layout layout{folder};
  std::error_code error;
  ORRERY_CHECK(!fs::exists(folder) || fs::is_directory(folder), "cannot write to ", folder, ": it is no folder");
  fs::create_directories(folder, error);
  ORRERY_CHECK(!error, "cannot make the folder ", folder, ": ", error.message());
  ORRERY_CHECK(access(folder.c_str(), W_OK) == 0, "cannot write to ", folder, ": ", std::strerror(errno));
  for (const fs::path& part : {layout.hidden(), layout.journals(), layout.claims(), layout.work(), layout.drawn()}) {
    ORRERY_CHECK(!fs::is_symlink(part), part.string(), " is a link, expected a folder");
    fs::create_directory(part, error);
    ORRERY_CHECK(!error && fs::is_directory(part), "cannot make the folder ", part.string(), ": ", error.message());
  }
  return layout;
}

void move_file(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  const int error = errno;
  const std::string message = "cannot write " + to.string() + ": " + std::strerror(error);
  if (error == ENOSPC || error == EDQUOT) throw DiskFullError(message);
  throw Error(message);
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  static_cast<void>(::fsync(descriptor));  // some file systems cannot; the rename has happened all the same
  ::close(descriptor);
}

}  // namespace

ClipStore::ClipStore(const std::string& folder, const std::string& extension, ClaimOptions claims)
    : layout_(prepared(folder)),
      extension_(extension),
      claims_(layout_.claims(), claims),
      journal_(layout_.journals(), claims_.worker()) {
  sweep();
  fs::create_directory(layout_.work() / worker());
  journal_.refresh();
}

ClipStore::~ClipStore() {
  std::error_code ignored;
  fs::remove_all(layout_.work() / worker(), ignored);
}

// What dead processes left half done.
void ClipStore::sweep() {
  std::vector<fs::path> dead;
  for (const auto& entry : fs::directory_iterator(layout_.work()))
    if (claims_.is_dead(entry.path().filename().string())) dead.push_back(entry.path());
  std::error_code ignored;
  for (const fs::path& path : dead) fs::remove_all(path, ignored);
  claims_.sweep();
}

void ClipStore::refresh() {
  const std::lock_guard lock(mutex_);
  journal_.refresh();
}

ClipStore::State ClipStore::state(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto entry = journal_.find(id);
  if (!entry) return State::open;
  if (!entry->done) return State::failed;
  return fs::exists(layout_.folder / file_name(id)) ? State::done : State::open;
}

std::string ClipStore::job_hash(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto entry = journal_.find(id);
  return entry ? entry->job : "";
}

bool ClipStore::take(const std::string& id, bool retry_failed, bool force) {
  const Claims::Answer answer = claims_.claim(id);
  if (answer == Claims::Answer::taken) return false;
  refresh();  // whoever had it before may have finished it
  const State now = state(id);
  if (now == State::done || (now == State::failed && !retry_failed)) {
    claims_.release(id);
    return false;
  }
  const fs::path file = layout_.folder / file_name(id);
  const bool ours = answer == Claims::Answer::mine_after_dead || !job_hash(id).empty();
  for (const fs::path& path : {file, fs::path(sidecar_path(file.string()))})
    ORRERY_CHECK(ours || force || !fs::exists(fs::symlink_status(path)), path.string(),
                 " is there and was not made by this batch; --force replaces it");
  return true;
}

std::string ClipStore::working_path(const std::string& id) const {
  return (layout_.work() / claims_.worker() / file_name(id)).string();
}

void ClipStore::record(const std::string& id, Json line) {
  {
    const std::lock_guard lock(mutex_);
    journal_.append(std::move(line));
  }
  std::error_code ignored;
  fs::remove(layout_.drawn() / (id + ".json"), ignored);
  claims_.release(id);
}

bool ClipStore::publish(const std::string& id, Json line) {
  const fs::path from = working_path(id), to = layout_.folder / file_name(id);
  line.set("sha256", sha256_file_hex(from.string()));
  line.set("bytes", fs::file_size(from));
  if (!claims_.still_mine(id)) {
    claims_.release(id);
    return false;
  }
  // The record first, so that a clip is never without it.
  const fs::path sidecar = sidecar_path(from.string());
  if (fs::exists(sidecar)) move_file(sidecar, sidecar_path(to.string()));
  move_file(from, to);
  sync_folder(layout_.folder);
  record(id, std::move(line));
  return true;
}

void ClipStore::fail(const std::string& id, Json line) {
  // Whoever took the job over decides what becomes of it.
  claims_.still_mine(id) ? record(id, std::move(line)) : claims_.release(id);
}

void ClipStore::release(const std::string& id) { claims_.release(id); }

void ClipStore::keep_drawn(const std::string& id, const std::string& job, const std::vector<std::int32_t>& codes) {
  write_file(layout_.drawn() / (id + ".json"), Json::object({{"job", job}, {"codes", Json(codes)}}).dump() + "\n");
}

std::vector<std::int32_t> ClipStore::drawn(const std::string& id, const std::string& job) {
  const fs::path path = layout_.drawn() / (id + ".json");
  std::vector<std::int32_t> codes;
  if (!fs::exists(path)) return codes;
  const Json json = Json::read(path);
  const Json *made_from = json.find("job"), *list = json.find("codes");
  if (made_from == nullptr || list == nullptr || *made_from != Json(job)) return codes;
  for (const Json& code : list->as_array()) codes.push_back(static_cast<std::int32_t>(code.as_integer()));
  return codes;
}

void ClipStore::write_manifest(const std::vector<std::string>& order) {
  // One writer at a time, or an older view could replace a newer one. No job's id begins with '_'.
  const std::string turn = "_manifest";
  while (claims_.claim(turn) == Claims::Answer::taken) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::lock_guard lock(mutex_);
  try {
    journal_.refresh();
    const fs::path hidden = layout_.work() / worker() / layout_.manifest().filename();
    AtomicFile file(hidden);
    std::set<std::string> written;
    for (const std::string& id : order) {
      if (!journal_.find(id) || !written.insert(id).second) continue;
      file.write(journal_.line(id).dump() + "\n");
    }
    journal_.for_each([&](const std::string& id, const Json& line) {
      if (written.count(id) == 0) file.write(line.dump() + "\n");
    });
    file.commit();
    move_file(hidden, layout_.manifest());
    sync_folder(layout_.folder);
  } catch (...) {
    claims_.release(turn);
    throw;
  }
  claims_.release(turn);
}

}  // namespace orrery::batch
