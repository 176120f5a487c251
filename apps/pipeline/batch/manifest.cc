#include "apps/pipeline/batch/manifest.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "apps/pipeline/frame_sink.h"
#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/base/sha256.h"
#include "core/io/files.h"
#include "video/frames/contact_sheet.h"
#include "video/io/reader.h"
#include "video/io/writer.h"

namespace orrery::batch {

namespace fs = std::filesystem;

namespace {

std::string text_of(const Json& line, const char* name) {
  const Json* value = line.find(name);
  return value != nullptr && value->is_string() ? value->as_string() : "";
}

bool is_done(const Json& line) { return text_of(line, "status") == "done"; }

// "" when the file is as its line says.
std::string what_is_wrong(const fs::path& file, const Json& line) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return "is missing";
  const Json* bytes = line.find("bytes");
  const auto size = static_cast<std::int64_t>(fs::file_size(file));
  if (bytes != nullptr && bytes->as_integer() != size)
    return "has " + std::to_string(size) + " bytes, expected " + std::to_string(bytes->as_integer());
  const std::string hash = sha256_file_hex(file.string());
  if (hash != text_of(line, "sha256"))
    return "has SHA-256 " + hash.substr(0, 12) + ", expected " + text_of(line, "sha256").substr(0, 12);
  return "";
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '"') {
      result += "&quot;";
    } else {
      result += c;
    }
  }
  return result;
}

std::string page_row(const Json& line) {
  const std::string id = escaped(text_of(line, "id")), prompt = escaped(text_of(line, "prompt"));
  const Json* score = line.find("score");
  std::string row = "<figure>";
  if (is_done(line)) {
    const std::string file = escaped(text_of(line, "file"));
    row += file.ends_with(".gif") ? "<img loading=\"lazy\" src=\"" + file + "\">"
                                  : "<video controls loop muted preload=\"none\" src=\"" + file + "\"></video>";
  } else {
    row += "<p class=\"failed\">failed: " + escaped(text_of(line, "reason")) + "</p>";
  }
  row += "<figcaption><b>" + id + "</b> " + prompt;
  if (score != nullptr && score->is_number()) {
    char text[48];
    std::snprintf(text, sizeof text, ", physics score %.2f", score->as_number());
    row += text;
  }
  return row + "</figcaption></figure>\n";
}

// A frame from the middle of each of the first clips.
std::string write_sheet(const std::string& folder, const std::vector<Json>& lines) {
  constexpr std::size_t kMost = 100;
  constexpr int kCell = 128;
  std::vector<Frame> frames;
  std::vector<std::string> labels;
  for (const Json& line : lines) {
    if (!is_done(line) || frames.size() == kMost) continue;
    try {
      VideoReader reader((fs::path(folder) / text_of(line, "file")).string());
      const Json* count = line.find("frames");
      Frame frame;
      for (std::int64_t i = 0; i <= (count != nullptr ? count->as_integer() / 2 : 0); ++i)
        if (!reader.next(frame)) break;
      if (frame.width() == 0) continue;
      frames.push_back(pipeline::scaled(frame, kCell, kCell));
      labels.push_back(text_of(line, "id"));
    } catch (const InputError&) {  // --verify says what is wrong with it
    }
  }
  if (frames.empty()) return "";
  ContactSheet sheet;
  sheet.cell_width = sheet.cell_height = kCell;
  const std::string path = (fs::path(folder) / "sheet.png").string();
  write_image(path, make_contact_sheet(frames, labels, sheet));
  return path;
}

}  // namespace

std::vector<Json> read_manifest(const std::string& path) {
  const fs::path file = fs::is_directory(path) ? fs::path(path) / "manifest.jsonl" : fs::path(path);
  std::ifstream in(file);
  ORRERY_CHECK(in && fs::is_regular_file(file), "there is no manifest ", file.string());
  std::vector<Json> lines;
  std::string line;
  for (std::int64_t number = 1; std::getline(in, line); ++number) {
    const std::string where = file.string() + ":" + std::to_string(number);
    lines.push_back(Json::parse(line, where));
    ORRERY_CHECK(!text_of(lines.back(), "id").empty() && !text_of(lines.back(), "status").empty(), where,
                 ": expected a line with \"id\" and \"status\"");
    ORRERY_CHECK(!is_done(lines.back()) || !text_of(lines.back(), "file").empty(), where, ": a clip without \"file\"");
  }
  return lines;
}

ManifestCheck verify_manifest(const std::string& folder) {
  const std::vector<Json> lines = read_manifest(folder);
  const fs::path base = fs::is_directory(folder) ? fs::path(folder) : fs::path(folder).parent_path();
  ManifestCheck check;
  Progress progress("batch --verify", "files", static_cast<std::int64_t>(lines.size()));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (is_done(lines[i])) {
      const fs::path file = base / text_of(lines[i], "file");
      const std::string wrong = what_is_wrong(file, lines[i]);
      if (wrong.empty()) {
        ++check.good;
      } else {
        check.bad.emplace_back(file.string(), wrong);
      }
    } else {
      ++check.failed;
    }
    progress.update(static_cast<std::int64_t>(i + 1));
  }
  return check;
}

MergeReport merge_manifests(const std::vector<std::string>& folders, const std::string& out) {
  MergeReport report;
  std::vector<Json> merged;
  std::map<std::string, std::size_t> place;
  for (const std::string& folder : folders) {
    const fs::path base = fs::is_directory(folder) ? fs::path(folder) : fs::path(folder).parent_path();
    for (Json& line : read_manifest(folder)) {
      if (is_done(line)) {
        const fs::path file = base / text_of(line, "file");
        line.set("file", fs::proximate(file, out).generic_string());
      }
      const std::string id = text_of(line, "id");
      const auto [known, fresh] = place.try_emplace(id, merged.size());
      if (fresh) {
        merged.push_back(std::move(line));
        continue;
      }
      Json& other = merged[known->second];
      ++report.twins;
      ORRERY_CHECK(!is_done(line) || !is_done(other) || text_of(line, "sha256") == text_of(other, "sha256"), folder,
                   ": ", id, " is another file than in a manifest before it");
      if (is_done(line) && !is_done(other)) other = std::move(line);
    }
  }
  std::error_code error;
  fs::create_directories(out, error);
  ORRERY_CHECK(!error, "cannot make the folder ", out, ": ", error.message());
  AtomicFile file(fs::path(out) / "manifest.jsonl");
  for (const Json& line : merged) {
    is_done(line) ? ++report.done : ++report.failed;
    file.write(line.dump() + "\n");
  }
  file.commit();
  return report;
}

ReportFiles write_report(const std::string& folder) {
  const std::vector<Json> lines = read_manifest(folder);
  std::string rows;
  std::int64_t done = 0;
  for (const Json& line : lines) {
    rows += page_row(line);
    done += is_done(line) ? 1 : 0;
  }
  ReportFiles files;
  files.page = (fs::path(folder) / "index.html").string();
  files.sheet = write_sheet(folder, lines);
  write_file(
      files.page,
      "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Orrery batch</title>\n<style>body{font:14px "
      "sans-serif;margin:1em}figure{display:inline-block;width:260px;margin:6px;vertical-align:top}video,img{width:"
      "256px;background:#ddd}.failed{color:#a00}</style>\n<h1>" +
          std::to_string(done) + " of " + std::to_string(lines.size()) + " clips</h1>\n" + rows + "</html>\n");
  return files;
}

}  // namespace orrery::batch
