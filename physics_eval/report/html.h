// One self-contained HTML page about scored clips: no scripts, no files beside it.
#pragma once

#include <string>
#include <vector>

#include "physics_eval/report/score_json.h"
#include "video/frames/frame.h"

namespace orrery {

/// A scored clip with the pictures that the page shows of it.
struct ReportClip {
  ScoredClip scored;
  double fps = 24;
  /// The worst frame, or a middle one of a clip without a violation, drawn over; empty: none.
  Frame picture;
  int picture_frame = 0;
};

/// The page: an overview with the distribution of scores, then a part for each clip, worst first: a verdict in plain
/// words, the curve of the score over time, the laws with their evidence and what was measured.
std::string physics_html(const std::vector<ReportClip>& clips, const std::vector<LeftOut>& left_out);

}  // namespace orrery
