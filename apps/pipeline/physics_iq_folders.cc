#include "apps/pipeline/physics_iq_folders.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "apps/pipeline/video_files.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "video/io/reader.h"

namespace orrery {

namespace {

constexpr int kSeconds = 5;

// What a name says; a generated video's has neither take nor rate.
struct IqName {
  std::string id, view, scenario;
  int take = 0, fps = 0;
};

std::optional<IqName> parse_name(const std::string& path) {
  const std::string stem = std::filesystem::path(path).stem().string();
  std::vector<std::string> parts(1);
  for (const char c : stem) {
    if (c == '_') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() == 3) return IqName{parts[0], parts[1], parts[2], 0, 0};
  if (parts.size() != 6 || parts[1] != "testing-videos" || parts[4].rfind("take-", 0) != 0) return std::nullopt;
  return IqName{parts[0], parts[3], parts[5], std::atoi(parts[4].c_str() + 5), std::atoi(parts[2].c_str())};
}

PhysicsIqClip record(const std::string& path, int width, int height, int count) {
  VideoReader reader(path);
  PhysicsIqRecorder recorder(width, height);
  for (Frame frame; recorder.count() < count && reader.next(frame);) recorder.add(frame);
  ORRERY_CHECK(recorder.count() == count, path, " has ", recorder.count(), " frames, expected ", count, ": ", kSeconds,
               " s at the generated video's rate");
  return recorder.take();
}

PhysicsIqClip record_blended(const std::string& path, std::pair<int, int> size, int from, int to) {
  VideoReader reader(path);
  std::vector<Frame> frames;
  for (Frame frame; static_cast<int>(frames.size()) < kSeconds * from && reader.next(frame);) frames.push_back(frame);
  ORRERY_CHECK(static_cast<int>(frames.size()) == kSeconds * from, path, " has ", frames.size(), " frames, expected ",
               kSeconds * from);
  return prepare_physics_iq(blend_to_rate(frames, from, to), size.first, size.second, kSeconds * to);
}

}  // namespace

std::vector<PhysicsIqPair> pair_physics_iq(const std::string& real, const std::string& generated,
                                           std::vector<LeftOut>& left_out) {
  std::map<std::string, PhysicsIqPair> found;
  const auto keep = [&left_out](std::string& place, const std::string& file) {
    if (!place.empty()) {
      left_out.push_back({file, "the same scenario and view as " + place});
    } else {
      place = file;
    }
  };
  for (const std::string& file : gather_videos({real}, left_out)) {
    const auto name = parse_name(file);
    if (!name || name->take < 1 || name->take > 2 || name->fps <= 0) {
      left_out.push_back({file, "the name is not ID_testing-videos_FPSFPS_VIEW_take-K_SCENARIO"});
      continue;
    }
    keep(found[name->scenario + " " + name->view].takes[name->fps][static_cast<std::size_t>(name->take - 1)], file);
  }
  for (const std::string& file : gather_videos({generated}, left_out)) {
    const auto name = parse_name(file);
    const auto pair = name && name->take == 0 ? found.find(name->scenario + " " + name->view) : found.end();
    if (pair == found.end()) {
      left_out.push_back({file, "no real video has its scenario and view (ID_VIEW_SCENARIO)"});
    } else {
      keep(pair->second.generated, file);
    }
  }
  std::vector<PhysicsIqPair> out;
  for (auto& [view, pair] : found) {
    for (auto take = pair.takes.begin(); take != pair.takes.end();) {
      const bool whole = !take->second[0].empty() && !take->second[1].empty();
      take = whole ? std::next(take) : pair.takes.erase(take);
    }
    if (pair.generated.empty() || pair.takes.empty()) {
      left_out.push_back({view, pair.generated.empty() ? "no generated video" : "a real take is missing"});
      continue;
    }
    pair.view = view;
    out.push_back(std::move(pair));
  }
  return out;
}

PhysicsIqView score_physics_iq_pair(const PhysicsIqPair& pair) {
  const int fps = static_cast<int>(std::lround(VideoReader(pair.generated).info().fps));
  ORRERY_CHECK(fps >= 1, pair.generated, " is a still picture");
  const auto same = pair.takes.find(fps);
  const auto& used = same != pair.takes.end() ? *same : *pair.takes.rbegin();
  const auto& takes = used.second;
  const VideoInfo info = VideoReader(takes[0]).info();
  const std::pair<int, int> size{info.width / 4, info.height / 4};
  const auto take = [&, from = used.first](const std::string& path) {
    return from == fps ? record(path, size.first, size.second, kSeconds * fps) : record_blended(path, size, from, fps);
  };
  std::array<PhysicsIqClip, 3> clips;
  parallel_for(3, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::size_t k = static_cast<std::size_t>(i);
      clips[k] = k < 2 ? take(takes[k]) : record(pair.generated, size.first, size.second, kSeconds * fps);
    }
  });
  PhysicsIqView out;
  out.variance = compare_physics_iq(clips[0], clips[1]);
  out.model = compare_physics_iq(clips[0], clips[2]);
  return out;
}

}  // namespace orrery
