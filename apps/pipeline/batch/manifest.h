// What can be done with a finished folder: its files checked against the manifest, several manifests made one, a page
// to look at.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/io/json.h"

namespace orrery::batch {

/// The lines of a manifest; `path` is a folder with one in it, or the file. Throws InputError with file and line.
std::vector<Json> read_manifest(const std::string& path);

struct ManifestCheck {
  std::int64_t good = 0;    ///< files as their line says
  std::int64_t failed = 0;  ///< jobs that have no file
  /// Files that are missing, cut short or changed, each with what was found.
  std::vector<std::pair<std::string, std::string>> bad;
};
/// Reads every file that the folder's manifest names.
ManifestCheck verify_manifest(const std::string& folder);

struct MergeReport {
  std::int64_t done = 0, failed = 0;
  std::int64_t twins = 0;  ///< lines of a job that another manifest has too
};
/// One manifest.jsonl in `out` of those in `folders`, with the files' names as seen from there. A job that is in
/// several counts once, done before failed. Throws InputError when two are done with different files.
MergeReport merge_manifests(const std::vector<std::string>& folders, const std::string& out);

struct ReportFiles {
  std::string page, sheet;  ///< sheet: empty when no clip is done
};
/// index.html with all clips, and sheet.png with a frame of each of the first hundred.
ReportFiles write_report(const std::string& folder);

}  // namespace orrery::batch
