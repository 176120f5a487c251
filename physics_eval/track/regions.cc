#include "physics_eval/track/regions.h"

#include <algorithm>
#include <cstddef>

namespace orrery::tracking {

namespace {

struct LabelledRun {
  Run run;
  std::uint8_t label;
};

int find_root(std::vector<int>& parent, int i) {
  while (parent[static_cast<std::size_t>(i)] != i) {
    int& up = parent[static_cast<std::size_t>(i)];
    up = parent[static_cast<std::size_t>(up)];
    i = up;
  }
  return i;
}

std::vector<LabelledRun> find_runs(const std::vector<std::uint8_t>& labels, int width, int height,
                                   std::vector<std::size_t>& row_begin) {
  std::vector<LabelledRun> runs;
  row_begin.assign(static_cast<std::size_t>(height) + 1, 0);
  for (int y = 0; y < height; ++y) {
    row_begin[static_cast<std::size_t>(y)] = runs.size();
    const std::uint8_t* row = &labels[static_cast<std::size_t>(y) * static_cast<std::size_t>(width)];
    for (int x = 0; x < width;) {
      const std::uint8_t label = row[x];
      int end = x + 1;
      while (end < width && row[end] == label) ++end;
      if (label) runs.push_back({{y, x, end}, label});
      x = end;
    }
  }
  row_begin[static_cast<std::size_t>(height)] = runs.size();
  return runs;
}

}  // namespace

std::vector<Region> find_regions(const std::vector<std::uint8_t>& labels, int width, int height) {
  std::vector<std::size_t> row_begin;
  const std::vector<LabelledRun> runs = find_runs(labels, width, height, row_begin);
  std::vector<int> parent(runs.size());
  for (std::size_t i = 0; i < parent.size(); ++i) parent[i] = static_cast<int>(i);
  for (int y = 1; y < height; ++y) {
    std::size_t above = row_begin[static_cast<std::size_t>(y) - 1];
    const std::size_t above_end = row_begin[static_cast<std::size_t>(y)];
    for (std::size_t i = above_end; i < row_begin[static_cast<std::size_t>(y) + 1]; ++i) {
      while (above < above_end && runs[above].run.x1 <= runs[i].run.x0) ++above;
      for (std::size_t j = above; j < above_end && runs[j].run.x0 < runs[i].run.x1; ++j) {
        if (runs[j].label != runs[i].label) continue;
        const int a = find_root(parent, static_cast<int>(j)), b = find_root(parent, static_cast<int>(i));
        parent[static_cast<std::size_t>(std::max(a, b))] = std::min(a, b);  // the first run of a region stays its root
      }
    }
  }
  std::vector<Region> regions;
  std::vector<int> region_of(runs.size(), -1);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::size_t root = static_cast<std::size_t>(find_root(parent, static_cast<int>(i)));
    const Run& run = runs[i].run;
    if (region_of[root] < 0) {
      region_of[root] = static_cast<int>(regions.size());
      regions.push_back({{}, 0, runs[i].label, run.x0, run.y, run.x1 - 1, run.y});
    }
    Region& region = regions[static_cast<std::size_t>(region_of[root])];
    region.runs.push_back(run);
    region.pixels += run.x1 - run.x0;
    region.min_x = std::min(region.min_x, run.x0);
    region.max_x = std::max(region.max_x, run.x1 - 1);
    region.max_y = run.y;
  }
  return regions;
}

}  // namespace orrery::tracking
