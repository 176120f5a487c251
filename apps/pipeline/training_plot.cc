#include "apps/pipeline/training_plot.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "core/base/error.h"
#include "core/io/json.h"
#include "video/frames/line_plot.h"

namespace orrery::pipeline {

namespace {

constexpr std::uint32_t kColours[] = {0x9DB7E8, 0xD6422B, 0xE0A11B, 0x2E8B57};

// The training set's curve jumps from batch to batch: an average over about ten lines is drawn.
void smooth(std::vector<std::pair<double, double>>& points) {
  constexpr double kNew = 0.1;
  for (std::size_t i = 1; i < points.size(); ++i)
    points[i].second = (1 - kNew) * points[i - 1].second + kNew * points[i].second;
}

}  // namespace

Frame plot_training(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder) / "log.jsonl";
  std::ifstream log(path);
  ORRERY_CHECK(log.good(), path.string(), " is missing: nothing to plot");
  std::vector<std::string> metrics, sets;
  std::map<std::pair<std::string, std::string>, std::vector<std::pair<double, double>>> curves;  // (metric, set)
  std::string text;
  for (int line = 1; std::getline(log, text); ++line) {
    const std::string where = path.string() + ":" + std::to_string(line);
    const Json entry = Json::parse(text, where);
    const Json *step = entry.find("step"), *set_name = entry.find("set");
    ORRERY_CHECK(step && step->is_number() && set_name && set_name->is_string(), where,
                 " is no line of a training log: \"step\" or \"set\" is missing");
    const std::string set = set_name->as_string();
    if (std::find(sets.begin(), sets.end(), set) == sets.end()) sets.push_back(set);
    for (const auto& [name, value] : entry.as_object()) {
      if (name == "step" || name == "set" || name == "seconds" || name == "waited" || !value.is_number()) continue;
      if (std::find(metrics.begin(), metrics.end(), name) == metrics.end()) metrics.push_back(name);
      curves[{name, set}].emplace_back(step->as_number(), value.as_number());
    }
  }
  ORRERY_CHECK(!metrics.empty(), path.string(), " is empty: nothing to plot");
  std::vector<Frame> pages;
  for (const std::string& metric : metrics) {
    std::vector<Curve> page;
    for (std::size_t s = 0; s < sets.size(); ++s) {
      const auto found = curves.find({metric, sets[s]});
      if (found == curves.end()) continue;
      Curve curve{sets[s], found->second, kColours[s % std::size(kColours)]};
      if (sets[s] == "train" && metric != "lr") smooth(curve.points);
      page.push_back(std::move(curve));
    }
    LinePlot options;
    options.title = metric, options.x_label = "steps", options.height = 240;
    pages.push_back(make_line_plot(page, options));
  }
  return stack_frames(pages);
}

}  // namespace orrery::pipeline
