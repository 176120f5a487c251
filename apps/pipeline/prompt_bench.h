// Generated against prompted: held-out sentences, the model's clips and the engine's own for the same sentences, both
// measured by the same tracker.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "apps/pipeline/generate.h"
#include "core/io/json.h"

namespace orrery::pipeline {

struct PromptBenchOptions {
  std::int64_t count = 200;         ///< sentences
  std::uint64_t seed = 42;          ///< of the sentences (far from any training seed) and of the clips
  double seconds = 10;              ///< a clip
  std::int64_t tries = 1;           ///< ClipSpec::tries
  double cfg_scale = 1;             ///< ClipSpec::cfg_scale
  std::vector<std::string> scenes;  ///< empty: all, by the registry's weights
  SamplingOptions sampling = kDefaultSampling;
  bool describe = true;      ///< also let the model describe the engine's clip
  std::string sheet_folder;  ///< empty: none; else a contact sheet (PNG) of the first `sheets` sentences
  std::int64_t sheets = 20;
};

/// Means over the clips of one scene, the model's and the engine's; shares in [0, 1].
struct PromptRow {
  std::string scene;
  std::int64_t clips = 0;
  std::int64_t named = 0;  ///< clips whose sentence names the colours of all bodies: colour is a share of these
  struct Side {
    double colour = 0, count_frames = 0, count = 0, motion = 0, moves_late = 0, physics = 0;
    std::int64_t scored = 0;  ///< clips with a physics score
    /// Of the clips' last two seconds: what is tracked there (Sighted), and the share of codes that are others than one
    /// latent frame before when the codec reads the clip again. Where these stay the engine's, a clip does not drift.
    double late_bodies = 0, late_radius = 0, late_speed = 0, late_changes = 0;
    std::int64_t with_radius = 0, with_speed = 0;  ///< clips with a body there, and with one in two frames on end
  } model, codec, engine;  ///< codec: the engine's clips through it, which no model can surpass by much
  /// Shares of the engine's clips whose description names colours, number and motion right.
  double described_colour = 0, described_count = 0, described_motion = 0;
};

/// A row a scene, in the registry's order, then "all". Deterministic.
std::vector<PromptRow> bench_prompts(const LoadedModel& model, const PromptBenchOptions& options,
                                     const std::function<void(std::int64_t)>& update = {},
                                     const std::atomic<bool>* stop = nullptr);

Json prompt_bench_json(const std::vector<PromptRow>& rows, const PromptBenchOptions& options);
/// Two Markdown tables: what was asked for, and the last two seconds.
std::string prompt_bench_table(const std::vector<PromptRow>& rows);

}  // namespace orrery::pipeline
