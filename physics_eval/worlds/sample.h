// Clips for training, drawn straight from the worlds: clip `index` of a seed is always the same, whoever asks and in
// whatever order.
#pragma once

#include <string>
#include <vector>

#include "physics_eval/worlds/world.h"

namespace orrery::worlds {

/// Added to the seeds of measurements' clips: no training run counts its clips from a seed this large.
constexpr std::uint64_t kHeldOutSeed = std::uint64_t{1} << 40;

struct SampleOptions {
  int width = 64, height = 64;
  double fps = 24;
  /// Frames a clip, ≥ 1.
  int frames = 49;
  /// Scene names to draw from, evenly; empty: all, by the registry's weights.
  std::vector<std::string> scenes;
  Split split = Split::in_distribution;
  bool smooth_backgrounds = false;
  /// Share of clips with pushes in them.
  double action_share = 0;
  /// Pushes fall on frames 1 + k · action_stride (the first frame of a latent frame) …
  int action_stride = 4;
  /// … and on centres of cells of a grid with so many rows (and columns, by the picture's shape).
  int action_rows = 8;
  /// Mean frames between two pushes of such a clip.
  double action_gap = 24;
  /// Keep every frame's ground truth (annotations.frames).
  bool annotate = false;
};

struct ClipSample {
  std::vector<Frame> frames;
  std::string caption;
  std::string scene;
  /// One a frame: the push whose effect that frame is the first to show.
  std::vector<Action> actions;
  Annotations annotations;
};

/// The spec of clip `index`: scene, seed; actions not yet.
WorldSpec sample_spec(std::uint64_t seed, std::uint64_t index, const SampleOptions& options);
/// Clip `index` of `seed`. Thread-safe. Throws InputError for options out of range.
ClipSample sample_clip(std::uint64_t seed, std::uint64_t index, const SampleOptions& options);

}  // namespace orrery::worlds
