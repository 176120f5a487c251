// What the files of `orrery score` share.
#pragma once

#include <string>
#include <vector>

#include "apps/pipeline/video_files.h"
#include "core/io/json.h"
#include "physics_eval/report/score_json.h"

namespace CLI {
class App;
}

namespace orrery::cli {

struct CommonOptions;

/// One line on stdout.
void print_json(const Json& json);

void add_score_fvd(CLI::App& score, CommonOptions& common);
void add_score_physics_iq(CLI::App& score, CommonOptions& common);
void add_score_phyworld(CLI::App& score, CommonOptions& common);

}  // namespace orrery::cli
