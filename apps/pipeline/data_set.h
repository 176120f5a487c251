// Data sets on disk: a folder with data.json (how it was made), clips.jsonl (one line a clip), and under clips/ a video
// and a ground truth a clip. Made from the worlds, or from a person's own videos and captions.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "physics_eval/worlds/sample.h"

namespace orrery::pipeline {

struct MakeDataOptions {
  std::string folder;
  std::uint64_t seed = 42, count = 1000;
  /// Size, rate, length, scenes, split and pushes of the clips.
  worlds::SampleOptions sample;
  /// Extension of the videos: "mp4" or lossless "mkv".
  std::string format = "mp4";
  /// This process makes the clips whose number is `shard` modulo `shards`.
  std::uint64_t shard = 0, shards = 1;
  const std::atomic<bool>* stop = nullptr;
};

struct DataReport {
  /// Clips made now, found already there, and left to other shards or for the next run.
  std::uint64_t made = 0, found = 0, left = 0;
  /// Files that could not be taken, with the reason (import only).
  std::vector<std::pair<std::string, std::string>> refused;
};

/// Makes what is missing. A clip is there when its ground truth is (written last, whole), so that a run that was cut
/// off goes on and ends with the same bytes, whatever the threads or shards; clips.jsonl appears when all are there.
/// Throws InputError when the folder holds a set made otherwise.
DataReport make_data_set(const MakeDataOptions& options);

/// Writes `folder`/clips.jsonl over the videos that are in it, in order of their names: the caption of a video is the
/// text file beside it (clip.mp4 → clip.txt) or its line in captions.jsonl ({"file", "caption"}). Files are left where
/// they are; those that cannot be read, or have no caption, are refused with a reason. Throws InputError when none can
/// be taken.
DataReport import_data_set(const std::string& folder);

/// "clips/000/000042".
std::string clip_stem(std::uint64_t index);

}  // namespace orrery::pipeline
