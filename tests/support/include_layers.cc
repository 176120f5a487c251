// The table and the scan. A folder's row is the one with the longest matching prefix.
#include "tests/support/include_layers.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

namespace orrery::house {

namespace {

using Names = std::vector<std::string_view>;

struct Layer {
  std::string_view folder;
  Names may_include;  ///< folders and single headers of ours, beside the layer's own folder
  Names never;        ///< exceptions from may_include
  Names vendors;      ///< beginnings of vendor headers, allowed in .cc and .cu only
};

const Names kAvHeaders = {"libavformat/", "libavcodec/", "libavutil/", "libavfilter/", "libswscale/", "libswresample/"};
const Names kEverything = {"kernels/api", "core", "video", "physics_eval", "viewer", "apps", "apps/pipeline"};

const std::vector<Layer>& layers() {
  static const std::vector<Layer> table = {
      {"kernels/api", {}, {}, {}},
      {"kernels/cpu", {"kernels/api"}, {}, {"dnnl", "oneapi/dnnl/", "hwy/", "omp.h"}},
      {"kernels/cuda", {"kernels/api"}, {}, {"cu", "cooperative_groups", "mma.h", "nccl.h", "nvtx3/"}},
      {"core", {"kernels/api"}, {}, {"nlohmann/", "toml++/", "unicode/", "pcre2.h", "omp.h", "mpi.h", "nccl.h"}},
      {"video/frames", {"core/tensor", "core/base"}, {}, {}},
      {"video/io", {"video/frames", "core/base", "core/io"}, {}, kAvHeaders},
      {"video/latent", {"kernels/api", "core", "video/frames"}, {}, {"nlohmann/"}},
      {"physics_eval/worlds", {"core", "video/frames"}, {}, {"box2d/", "opencv2/", "nlohmann/"}},
      {"physics_eval",
       {"core", "video/frames"},
       {"core/model", "core/generate", "core/train"},
       {"opencv2/", "Eigen/", "nlohmann/"}},
      {"viewer",
       {"kernels/api", "core", "video", "physics_eval", "apps/pipeline"},
       {},
       {"GLFW/", "imgui", "GL/", "EGL/", "nlohmann/"}},
      {"apps/pipeline", {"kernels/api", "core", "video", "physics_eval"}, {}, {"nlohmann/", "toml++/"}},
      {"apps", kEverything, {}, {"CLI/", "nlohmann/", "toml++/", "GLFW/", "mpi.h"}},
  };
  return table;
}

// Folders whose sources belong to no layer.
const Names kOutside = {"tests", "docs", "scripts", "models", "cmake"};

// Headers of C and POSIX, which any layer may use. C++'s own have no dot.
const Names kSystem = {"sys/",        "linux/",      "unistd.h", "fcntl.h",   "dirent.h", "signal.h",
                       "sched.h",     "pthread.h",   "dlfcn.h",  "errno.h",   "poll.h",   "math.h",
                       "time.h",      "termios.h",   "malloc.h", "stdint.h",  "stdlib.h", "string.h",
                       "immintrin.h", "x86intrin.h", "cpuid.h",  "arm_neon.h"};

bool begins(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// `path` is `folder`, or lies in it.
bool within(std::string_view path, std::string_view folder) {
  return begins(path, folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

bool within_any(std::string_view path, const Names& folders) {
  return std::any_of(folders.begin(), folders.end(), [&](auto folder) { return within(path, folder); });
}

bool begins_any(std::string_view text, const Names& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](auto prefix) { return begins(text, prefix); });
}

const Layer* layer_of(std::string_view path) {
  const Layer* best = nullptr;
  for (const Layer& layer : layers())
    if (within(path, layer.folder) && (!best || layer.folder.size() > best->folder.size())) best = &layer;
  return best;
}

// What stands behind `#include` on this line, with its first quote or bracket; nothing for other lines.
std::optional<std::string> included(std::string_view line) {
  auto skip = [&line] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
  skip();
  if (!begins(line, "#")) return {};
  line.remove_prefix(1);
  skip();
  if (!begins(line, "include")) return {};
  line.remove_prefix(7);
  skip();
  if (line.empty() || (line[0] != '"' && line[0] != '<')) return {};
  const auto end = line.find(line[0] == '<' ? '>' : '"', 1);
  return end == std::string_view::npos ? std::nullopt : std::optional(std::string(line.substr(0, end)));
}

bool is_header(std::string_view path) { return path.size() > 2 && path.substr(path.size() - 2) == ".h"; }

bool ours(std::string_view name) { return within_any(name, kEverything) || begins(name, "kernels/"); }

// A header of C++, C or POSIX.
bool standard(std::string_view name) {
  return name.find_first_of("./") == std::string_view::npos || begins_any(name, kSystem);
}

// Empty when the file may include it, else the reason why not.
std::string refusal(const Layer& layer, std::string_view name) {
  const std::string_view own = name.substr(0, name.find('/'));
  if (ours(name)) {
    if (layer_of(name) == &layer) return "";  // the same row, so worlds are not physics_eval's own
    if (within_any(name, layer.never)) return std::string(layer.folder) + " may not know " + std::string(name);
    const Layer* theirs = layer_of(name);
    // A layer nested in this one (worlds in physics_eval) is not ours for that; it needs a mention of its own.
    const bool mentioned = theirs && std::count(layer.may_include.begin(), layer.may_include.end(), theirs->folder) > 0;
    const bool nested = theirs && within(theirs->folder, layer.folder) && !mentioned;
    if (!nested && within_any(name, layer.may_include)) return "";
    if (name == "physics_eval/worlds/annotations.h") return "";  // the ground truth's types
    return std::string(layer.folder) + " may not include " + std::string(name);
  }
  if (within_any(name, kOutside)) return "layers may not include " + std::string(own) + "/";
  if (standard(name)) return "";
  if (!begins_any(name, layer.vendors)) return std::string(layer.folder) + " has no vendor header " + std::string(name);
  return "";
}

bool tests_back_end(std::string_view line) {
  const auto hash = line.find_first_not_of(" \t");
  if (hash == std::string_view::npos || line[hash] != '#') return false;
  const std::string_view rest = line.substr(std::min(line.find_first_not_of(" \t", hash + 1), line.size()));
  if (!begins(rest, "if") && !begins(rest, "elif")) return false;
  return rest.find("CUDA") != std::string_view::npos;
}

// Catch2 3 gave this name of Catch2 2's another meaning, so that it compiles on one Debian only.
std::vector<std::string> catch2_spelling(std::string_view path, std::string_view text) {
  static constexpr std::string_view kOld =
      " Contains"
      "(";
  std::string flat(text);
  std::replace_if(
      flat.begin(), flat.end(), [](char c) { return c == ':' || c == '!' || c == ',' || c == '\n'; }, ' ');
  if (path == "tests/support/catch.h" || flat.find(kOld) == std::string::npos) return {};
  return {std::string(path) + ": Contains is no substring in Catch2 3: ContainsSubstring, from tests/support/catch.h"};
}

}  // namespace

std::vector<std::string> breaches_of(std::string_view path, std::string_view text) {
  if (within(path, "tests")) return catch2_spelling(path, text);
  if (within_any(path, kOutside)) return {};
  const Layer* layer = layer_of(path);
  if (!layer) return {std::string(path) + ": in a folder of no layer; docs/architecture.md has the table"};
  std::vector<std::string> breaches;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string where = std::string(path) + ":" + std::to_string(number) + ": ";
    if (tests_back_end(line) && layer->folder != "kernels/cuda" && path != "core/ops/backends.cc")
      breaches.push_back(where + "a condition on a back end outside core/ops/backends.cc");
    const auto include = included(line);
    if (!include) continue;
    const std::string_view name = std::string_view(*include).substr(1);
    std::string reason = refusal(*layer, name);
    if (reason.empty() && (*include)[0] == '"' && !layer_of(name) && !begins_any(name, layer->vendors))
      reason = "\"" + std::string(name) + "\" is no path from the repository's root";
    if (!reason.empty()) breaches.push_back(where + reason);
  }
  return breaches;
}

std::vector<std::string> vendor_leaks(const std::map<std::string, std::string>& files) {
  std::map<std::string, std::vector<std::string>> includes;  // of each file outside tests and the like
  for (const auto& [path, text] : files) {
    if (within_any(path, kOutside)) continue;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
      if (const auto include = included(line)) includes[path].push_back(include->substr(1));
  }
  std::set<std::string> tainted;  // headers that bring a vendor's, by themselves or through another header
  for (bool grew = true; grew;) {
    grew = false;
    for (const auto& [path, names] : includes) {
      const bool brings = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return (!ours(name) && !standard(name)) || tainted.count(name) > 0;
      });
      if (is_header(path) && brings) grew |= tainted.insert(path).second;
    }
  }
  std::vector<std::string> leaks;
  for (const auto& [path, names] : includes)
    for (const std::string& name : names)
      if (tainted.count(name) > 0 && layer_of(name) != layer_of(path))
        leaks.push_back(path + ": " + name + " brings a vendor's header; only its own layer may include it");
  return leaks;
}

std::vector<std::string> scan_tree(const std::string& root, int& count) {
  namespace fs = std::filesystem;
  std::map<std::string, std::string> files;
  for (auto entry = fs::recursive_directory_iterator(root); entry != fs::recursive_directory_iterator(); ++entry) {
    const std::string path = entry->path().lexically_relative(root).generic_string();
    const std::string name = entry->path().filename().string();
    if (entry->is_directory() && (name[0] == '.' || (entry.depth() == 0 && (begins(name, "build") || name == "out"))))
      entry.disable_recursion_pending();
    static constexpr std::array<std::string_view, 3> kSources = {".h", ".cc", ".cu"};
    const std::string extension = entry->path().extension().string();
    if (!entry->is_regular_file() || std::find(kSources.begin(), kSources.end(), extension) == kSources.end()) continue;
    std::ifstream in(entry->path());
    std::stringstream text;
    text << in.rdbuf();
    files[path] = text.str();
  }
  count = static_cast<int>(files.size());
  std::vector<std::string> breaches = vendor_leaks(files);
  for (const auto& [path, text] : files)
    for (auto& breach : breaches_of(path, text)) breaches.push_back(std::move(breach));
  return breaches;
}

}  // namespace orrery::house
