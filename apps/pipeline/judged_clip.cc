#include "apps/pipeline/judged_clip.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "apps/pipeline/prompt_check.h"
#include "core/base/parallel.h"
#include "physics_eval/laws/laws.h"

namespace orrery::pipeline {

namespace {

constexpr double kStretchSeconds = 1, kSeenSeconds = 3;

// Share of frames from `first` on in which as many bodies are seen as said.
double count_share(const Said& said, const Tracks& tracks, std::size_t first) {
  const std::size_t frames = tracks.tracks[0].frames.size();
  std::size_t right = 0;
  for (std::size_t f = first; f < frames; ++f) {
    const auto seen = std::count_if(tracks.tracks.begin(), tracks.tracks.end(),
                                    [f](const Track& track) { return track.frames[f].visible; });
    right += seen == said.count;
  }
  return frames > first ? static_cast<double>(right) / static_cast<double>(frames - first) : 0;
}

// Share of the bodies, said and seen, whose colours are those said.
double colour_share(const Said& said, const Tracks& tracks) {
  std::vector<std::string> left = said.colours;
  // "Two red balls" says one colour of both.
  while (static_cast<std::int64_t>(left.size()) < said.count) left.push_back(said.colours.back());
  const std::size_t wanted = left.size();
  std::size_t right = 0;
  for (const Track& track : tracks.tracks)
    if (const auto found = std::find(left.begin(), left.end(), track.colour_word); found != left.end()) {
      left.erase(found);
      ++right;
    }
  return static_cast<double>(right) / static_cast<double>(std::max(wanted, tracks.tracks.size()));
}

}  // namespace

double judge(const Said& said, const Tracks& tracks, int first) {
  if (!tracks.reason.empty() || tracks.tracks.empty()) return 0;
  double sum = 0;
  if (!said.motion.empty()) {  // else there is no saying how many bodies it means
    sum += 2 * count_share(said, tracks, static_cast<std::size_t>(first));
    if (!said.colours.empty()) sum += 2 * colour_share(said, tracks);
    if (motion_shown(said.motion, said.direction, tracks)) sum += 0.5;
  }
  if (something_moves(tracks, first, static_cast<int>(tracks.tracks[0].frames.size()))) sum += 0.5;
  const double physics = score_physics(tracks).score;
  return sum + (std::isfinite(physics) ? physics : 0);
}

JudgedClip::JudgedClip(const LoadedModel& model, const ClipSpec& spec)
    : JudgedClip(model, spec,
                 [said = read_sentence(spec.prompt), fps = model.fps()](std::span<const Frame> frames, int first) {
                   return judge(said, track(frames, fps), first);
                 }) {}

JudgedClip::JudgedClip(const LoadedModel& model, const ClipSpec& spec, Judge judge)
    : model_(&model), judge_(std::move(judge)), seed_(spec.seed), tries_(spec.tries) {
  const VideoVocabularySizes& sizes = model.layout().vocabulary().sizes();
  kept_.emplace(Go{ClipCodes(model, spec), StreamingDecoder(model.codec(), sizes.rows, sizes.columns), {}});
}

void JudgedClip::draw(std::span<Go> goes, std::int64_t latents) {
  std::vector<ClipCodes*> drawing;
  for (Go& go : goes) drawing.push_back(&go.codes);
  for (std::int64_t l = 0; l < latents; ++l) {
    const std::vector<std::vector<std::int32_t>> codes = ClipCodes::next_each(drawing);
    for (std::size_t i = 0; i < goes.size(); ++i)
      goes[i].made.codes.insert(goes[i].made.codes.end(), codes[i].begin(), codes[i].end());
  }
}

void JudgedClip::decode(Go& go) const {
  const std::span codes(go.made.codes);
  const auto cells = static_cast<std::size_t>(model_->layout().cells());
  for (std::size_t at = 0; at < codes.size(); at += cells)
    for (Frame& frame : go.decoder.push(codes.subspan(at, cells))) go.made.frames.push_back(std::move(frame));
}

double JudgedClip::verdict(std::span<const Frame> frames) const {
  std::vector<Frame> all = seen_;
  all.insert(all.end(), frames.begin(), frames.end());
  return judge_(all, static_cast<int>(seen_.size()));
}

JudgedClip::Stretch JudgedClip::next() {
  const bool given = kept_->codes.given_next();
  const std::int64_t before = kept_->codes.tokens(), shared = kept_->codes.settle();
  const auto second = std::max<std::int64_t>(
      1, std::llround(kStretchSeconds * model_->fps() / static_cast<double>(model_->codec().config().time_factor)));
  const std::int64_t latents = std::min(shared, second);
  // Which bodies there are is decided at the begin.
  const std::int64_t tries = given ? 1 : kept_->codes.latents_done() == 0 && tries_ > 1 ? 2 * tries_ : tries_;
  tokens_ += kept_->codes.tokens() - before;
  const std::int64_t settled = kept_->codes.tokens();
  kept_->made = {};
  std::vector<Go> goes(static_cast<std::size_t>(tries), *kept_);
  // The first go has the clip's own numbers, so that one go alone is the clip without a judge.
  for (std::size_t i = 0; i < goes.size(); ++i) goes[i].codes.reseed(seed_ + i * 0x9E3779B97F4A7C15ull);
  // A thread takes its goes from the first code to the verdict: threads that met in every product of a small model
  // would mostly wait.
  parallel_for(tries, 1, [&](std::int64_t begin, std::int64_t end) {
    const std::span mine =
        std::span(goes).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    draw(mine, latents);
    for (Go& go : mine) {
      decode(go);
      if (tries > 1) go.verdict = verdict(go.made.frames);
    }
  });
  for (const Go& go : goes) tokens_ += go.codes.tokens() - settled;
  kept_.emplace(
      *std::max_element(goes.begin(), goes.end(), [](const Go& a, const Go& b) { return a.verdict < b.verdict; }));
  seen_.insert(seen_.end(), kept_->made.frames.begin(), kept_->made.frames.end());
  const auto most = static_cast<std::size_t>(kSeenSeconds * model_->fps());
  if (seen_.size() > most) seen_.erase(seen_.begin(), seen_.end() - static_cast<std::ptrdiff_t>(most));
  return std::move(kept_->made);
}

}  // namespace orrery::pipeline
