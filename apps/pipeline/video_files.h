// The videos that arguments of a command stand for.
#pragma once

#include <string>
#include <vector>

#include "physics_eval/report/score_json.h"

namespace orrery {

/// The files named, and the videos of the folders named, in the order of their names; folders without one go to
/// `left_out`.
std::vector<std::string> gather_videos(const std::vector<std::string>& inputs, std::vector<LeftOut>& left_out);

}  // namespace orrery
