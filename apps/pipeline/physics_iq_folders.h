// Physics-IQ over folders in its naming: real takes, generated videos, and which belong together.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "physics_eval/metrics/physics_iq.h"
#include "physics_eval/report/score_json.h"

namespace orrery {

/// A scenario's view with its generated video and both takes (by frames a second, as their names say).
struct PhysicsIqPair {
  std::string view, generated;
  std::map<int, std::array<std::string, 2>> takes;
};

/// Pairs `ID_testing-videos_30FPS_VIEW_take-K_SCENARIO.*` with `ID_VIEW_SCENARIO.*`, in the order of scenario and view.
/// Files of other names, doubles, and views that lack a file go to `left_out` with the reason.
std::vector<PhysicsIqPair> pair_physics_iq(const std::string& real, const std::string& generated,
                                           std::vector<LeftOut>& left_out);

/// A view's metrics, or why there are none: videos that cannot be read or are shorter than five seconds.
struct PhysicsIqResult {
  std::optional<PhysicsIqView> view;
  std::string reason;
};

/// All views, at the generated video's frame rate, as the published code does: takes of that rate are used where there
/// are any, else those of the highest rate, blended. Frames are streamed, but for takes that have to be blended;
/// threads take a video each. `done` is called for each view in the order of `pairs`, as soon as it and those before it
/// are done.
void score_physics_iq_pairs(std::span<const PhysicsIqPair> pairs,
                            const std::function<void(const PhysicsIqPair&, const PhysicsIqResult&)>& done);
/// One view. Throws InputError with the reason.
PhysicsIqView score_physics_iq_pair(const PhysicsIqPair& pair);

}  // namespace orrery
