#include "physics_eval/report/html.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <numeric>

#include "video/frames/resize.h"

namespace orrery {

namespace {

using Size = std::size_t;

std::string format(const char* text, ...) __attribute__((format(printf, 1, 2)));
std::string format(const char* text, ...) {
  char buffer[256];
  std::va_list arguments;
  va_start(arguments, text);
  std::vsnprintf(buffer, sizeof buffer, text, arguments);
  va_end(arguments);
  return buffer;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string base64(const std::vector<std::uint8_t>& bytes) {
  static const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (Size i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](Size k) { return k < bytes.size() ? static_cast<unsigned>(bytes[k]) : 0U; };
    const unsigned word = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    out += digits[word >> 18 & 63];
    out += digits[word >> 12 & 63];
    out += i + 1 < bytes.size() ? digits[word >> 6 & 63] : '=';
    out += i + 2 < bytes.size() ? digits[word & 63] : '=';
  }
  return out;
}

// A 24-bit BMP: what every browser shows and nothing needs to compress.
std::vector<std::uint8_t> bmp_of(const Frame& frame) {
  const int stride = (3 * frame.width() + 3) / 4 * 4;
  const std::uint32_t size = static_cast<std::uint32_t>(stride * frame.height());
  std::vector<std::uint8_t> out{'B', 'M'};
  const auto put = [&out](std::uint32_t value, int bytes) {
    for (int k = 0; k < bytes; ++k) out.push_back(static_cast<std::uint8_t>(value >> (8 * k)));
  };
  put(54 + size, 4), put(0, 4), put(54, 4), put(40, 4);
  put(static_cast<std::uint32_t>(frame.width()), 4), put(static_cast<std::uint32_t>(frame.height()), 4);
  put(1, 2), put(24, 2), put(0, 4), put(size, 4), put(2835, 4), put(2835, 4), put(0, 4), put(0, 4);
  for (int y = frame.height() - 1; y >= 0; --y) {
    for (int x = 0; x < frame.width(); ++x) {
      const std::uint8_t* p = frame.at(x, y);
      out.push_back(p[2]), out.push_back(p[1]), out.push_back(p[0]);
    }
    for (int k = 3 * frame.width(); k < stride; ++k) out.push_back(0);
  }
  return out;
}

std::string image(const Frame& frame, int number) {
  if (frame.empty()) return {};
  int width = 0, height = 0;
  fit_size(frame.width(), frame.height(), width = 224, height = 224);
  const Frame small = frame.width() > width ? resize(frame, width, height, Filter::area) : frame;
  return format("<figure><img width=224 alt=\"frame %d\" src=\"data:image/bmp;base64,", number) +
         base64(bmp_of(small)) + format("\"><figcaption>frame %d</figcaption></figure>", number);
}

const char* tint(double score) { return score < 0.5 ? "#c0392b" : score < 0.9 ? "#b9770e" : "#1e8449"; }

// The score over time, 0 at the bottom.
std::string curve(const PhysicsScore& score, double fps) {
  const double width = 520, height = 110;
  std::string out = format("<svg viewBox=\"-34 -8 %.0f %.0f\" width=\"560\" role=\"img\">", width + 44, height + 34);
  for (const double level : {0.0, 0.5, 1.0}) {
    const double y = height * (1 - level);
    out += format("<line x1=\"0\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>", width, y, y) +
           format("<text x=\"-6\" y=\"%.1f\" text-anchor=\"end\">%.1f</text>", y + 4, level);
  }
  const Size n = score.frames.size();
  std::string points;
  for (Size t = 0; t < n; ++t) {
    const double x = n > 1 ? width * static_cast<double>(t) / static_cast<double>(n - 1) : 0;
    points += format("%.1f,%.1f ", x, height * (1 - score.frames[t]));
  }
  out += "<polyline class=\"curve\" points=\"" + points + "\"/>";
  for (const LawResult& law : score.laws) {
    if (!law.violated || law.frame < 0 || n < 2) continue;
    const double x = width * law.frame / static_cast<double>(n - 1);
    out += format("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%.0f\" class=\"break\"/>", x, x, height);
  }
  out +=
      format("<text x=\"0\" y=\"%.0f\">0 s</text><text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">%.1f s</text></svg>",
             height + 18, width, height + 18, static_cast<double>(n) / std::max(1e-9, fps));
  return out;
}

// How many clips have which score, in tenths.
std::string histogram(const std::vector<ReportClip>& clips) {
  std::vector<int> bins(10, 0);
  for (const ReportClip& clip : clips) {
    const double s = clip.scored.score.score;
    if (!std::isnan(s)) ++bins[static_cast<Size>(std::clamp(static_cast<int>(s * 10), 0, 9))];
  }
  const int most = std::max(1, *std::max_element(bins.begin(), bins.end()));
  std::string out = "<svg viewBox=\"0 0 330 110\" width=\"360\" role=\"img\">";
  for (Size i = 0; i < bins.size(); ++i) {
    const double h = 80.0 * bins[i] / most, x = 5 + 32.0 * static_cast<double>(i);
    out += format("<rect x=\"%.0f\" y=\"%.1f\" width=\"28\" height=\"%.1f\" fill=\"%s\"/>", x, 85 - h, h,
                  tint((static_cast<double>(i) + 0.5) / 10)) +
           format("<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"middle\">%d</text>", x + 14, 81 - h, bins[i]) +
           format("<text x=\"%.0f\" y=\"102\" text-anchor=\"middle\">.%d</text>", x + 14, static_cast<int>(i));
  }
  return out + "</svg>";
}

std::string verdict(const PhysicsScore& score) {
  if (std::isnan(score.score)) return "Not scored: " + escaped(score.reason) + ".";
  std::string broken;
  int tested = 0;
  for (const LawResult& law : score.laws) {
    tested += law.applies;
    if (law.violated) broken += (broken.empty() ? "" : ", ") + law.law;
  }
  if (!broken.empty()) return "Breaks physics (" + broken + ").";
  return format(score.score >= 0.9 ? "Nothing against physics found; %d laws tested."
                                   : "Doubtful: close to the border of what lawful clips show; %d laws tested.",
                tested);
}

std::string law_rows(const PhysicsScore& score) {
  std::string out = "<table><tr><th>law<th>score<th>frame<th>what was seen<th>measured</tr>";
  for (const LawResult& law : score.laws) {
    if (!law.applies) continue;
    out += "<tr><td>" + law.law + format("<td style=\"color:%s\">%.3f<td>", tint(law.score), law.score);
    out += (law.violated ? std::to_string(law.frame) : std::string("–")) + "<td>" +
           (law.severity > 0.3 ? escaped(law.evidence) : std::string()) + "<td>";
    for (const Measured& m : law.measured)
      out += escaped(m.name) + format(" %.4g ± %.2g ", m.value, m.sigma) + escaped(m.unit) + "<br>";
    out += "</tr>";
  }
  return out + "</table>";
}

std::string part(const ReportClip& clip) {
  const PhysicsScore& s = clip.scored.score;
  std::string out = "<section><h2>" + escaped(clip.scored.file) + "</h2>";
  if (!std::isnan(s.score))
    out += format("<p class=\"score\" style=\"color:%s\">%.3f <small>(%.2f to %.2f)</small></p>", tint(s.score),
                  s.score, s.low, s.high);
  out += "<p>" + verdict(s) + "</p><div class=\"row\">" + image(clip.picture, clip.picture_frame);
  if (!s.frames.empty()) out += curve(s, clip.fps);
  return out + "</div>" + (s.laws.empty() ? "" : law_rows(s)) + "</section>";
}

constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "section{border-top:1px solid #ccc;margin-top:1.5em}h2{font-size:1.1em;word-break:break-all}"
    ".score{font-size:1.6em;margin:.2em 0}.row{display:flex;gap:1em;flex-wrap:wrap;align-items:flex-start}"
    "figure{margin:0}figcaption{font-size:.8em;color:#666}table{border-collapse:collapse;font-size:.9em;margin-top:."
    "6em}"
    "td,th{border-bottom:1px solid #ddd;padding:.2em .7em;text-align:left;vertical-align:top}"
    "svg text{font-size:11px;fill:#555}.grid{stroke:#ddd}.curve{fill:none;stroke:#2471a3;stroke-width:2}"
    ".break{stroke:#c0392b;stroke-dasharray:3 3}";

}  // namespace

std::string physics_html(const std::vector<ReportClip>& clips, const std::vector<LeftOut>& left_out) {
  std::vector<Size> order(clips.size());
  std::iota(order.begin(), order.end(), Size{0});
  const auto rank = [&](Size i) { return std::isnan(clips[i].scored.score.score) ? 2.0 : clips[i].scored.score.score; };
  std::stable_sort(order.begin(), order.end(), [&](Size a, Size b) { return rank(a) < rank(b); });
  double sum = 0;
  int scored = 0, violated = 0;
  for (const ReportClip& clip : clips) {
    if (std::isnan(clip.scored.score.score)) continue;
    sum += clip.scored.score.score, ++scored, violated += clip.scored.score.violated;
  }
  std::string out =
      std::string("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Physics report</title><style>") +
      kStyle + "</style><h1>Physics report</h1>";
  out += format("<p>%zu clips, %d scored, %d break a law", clips.size(), scored, violated);
  if (scored) out += format("; mean score %.3f", sum / scored);
  out += ". 1: nothing against physics found; 0: certain violation.</p>";
  if (scored > 1) out += histogram(clips);
  for (const Size i : order) out += part(clips[i]);
  if (!left_out.empty()) {
    out += "<section><h2>Left out</h2><ul>";
    for (const LeftOut& one : left_out) out += "<li>" + escaped(one.file) + ": " + escaped(one.reason);
    out += "</ul></section>";
  }
  return out + "</html>\n";
}

}  // namespace orrery
