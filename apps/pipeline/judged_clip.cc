#include "apps/pipeline/judged_clip.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "apps/pipeline/prompt_check.h"
#include "apps/pipeline/rollout_threads.h"
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

// Share of the bodies, said and seen from frame `first` on, whose colours are those said.
double colour_share(const Said& said, const Tracks& tracks, std::size_t first) {
  std::vector<std::string> left = said.colours;
  // "Two red balls" says one colour of both.
  while (static_cast<std::int64_t>(left.size()) < said.count) left.push_back(said.colours.back());
  const std::size_t wanted = left.size();
  std::size_t right = 0, bodies = 0;
  for (const Track& track : tracks.tracks) {
    if (std::none_of(track.frames.begin() + static_cast<std::ptrdiff_t>(first), track.frames.end(),
                     [](const Observation& seen) { return seen.visible; }))
      continue;
    ++bodies;
    if (const auto found = std::find(left.begin(), left.end(), track.colour_word); found != left.end()) {
      left.erase(found);
      ++right;
    }
  }
  return static_cast<double>(right) / static_cast<double>(std::max(wanted, bodies));
}

}  // namespace

Verdict judge(const Said& said, const Tracks& tracks, int first) {
  if (!tracks.reason.empty() || tracks.tracks.empty()) return {};
  double sum = 0;
  bool kept = true, shown = true;
  if (!said.motion.empty()) {  // else there is no saying how many bodies it means
    const double count = count_share(said, tracks, static_cast<std::size_t>(first));
    const double colour = said.colours.empty() ? 1 : colour_share(said, tracks, static_cast<std::size_t>(first));
    kept = count == 1 && colour == 1;
    sum += 2 * count + 2 * colour;
    shown = motion_shown(said.motion, said.direction, tracks);
    if (shown) sum += 0.5;
  }
  const bool moves = something_moves(tracks, first, static_cast<int>(tracks.tracks[0].frames.size()));
  // What lies still may go on lying.
  const bool rests = first > 0 && !something_moves(tracks, std::max(0, first - static_cast<int>(tracks.fps)), first);
  if (moves) sum += 0.5;
  const double score = score_physics(tracks).score, physics = std::isfinite(score) ? score : 0;
  // Where to and how bodies move is decided at the begin.
  return {sum + physics, kept && (shown || first > 0) && (moves || rests) && physics >= 0.5};
}

JudgedClip::JudgedClip(const LoadedModel& model, const ClipSpec& spec)
    : JudgedClip(model, spec,
                 [said = read_sentence(spec.prompt), fps = model.fps()](std::span<const Frame> frames, int first) {
                   return judge(said, track(frames, fps), first);
                 }) {}

JudgedClip::JudgedClip(const LoadedModel& model, const ClipSpec& spec, Judge judge)
    : model_(&model), judge_(std::move(judge)), seed_(spec.seed), tries_(spec.tries) {
  const VideoVocabularySizes& sizes = model.layout().vocabulary().sizes();
  kept_.emplace(Go{ClipCodes(model, spec), StreamingDecoder(model.codec(), sizes.rows, sizes.columns), {}, {}});
}

// From the first code to the verdict.
void JudgedClip::make(Go& go, std::int64_t latents) const {
  for (std::int64_t l = 0; l < latents; ++l) {
    const std::vector<std::int32_t> codes = go.codes.next();
    for (Frame& frame : go.decoder.push(codes)) go.made.frames.push_back(std::move(frame));
    go.made.codes.insert(go.made.codes.end(), codes.begin(), codes.end());
  }
  if (tries_ == 1) return;
  std::vector<Frame> all = seen_;
  all.insert(all.end(), go.made.frames.begin(), go.made.frames.end());
  go.verdict = judge_(all, static_cast<int>(seen_.size()));
}

JudgedClip::Stretch JudgedClip::next() {
  const bool given = kept_->codes.given_next();
  const std::int64_t before = kept_->codes.tokens(), shared = kept_->codes.settle(), settled = kept_->codes.tokens();
  tokens_ += settled - before;
  const auto second = std::max<std::int64_t>(
      1, std::llround(kStretchSeconds * model_->fps() / static_cast<double>(model_->codec().config().time_factor)));
  // In less than two seconds of a clip's begin little can be tracked.
  const std::int64_t latents = std::min(shared, kept_->codes.latents_done() == 0 ? 2 * second : second);
  const std::int64_t tries = given ? 1 : tries_;
  kept_->made = {};
  std::optional<Go> best;
  for (std::int64_t done = 0; done < tries && !(best && best->verdict.good);) {
    // One go, and where that is not good two more at a time: as many whatever the threads.
    std::vector<Go> goes(done == 0 ? 1 : static_cast<std::size_t>(std::min<std::int64_t>(2, tries - done)), *kept_);
    // The first go has the clip's own numbers, so that one go alone is the clip without a judge.
    for (Go& go : goes) go.codes.reseed(seed_ + static_cast<std::uint64_t>(done++) * 0x9E3779B97F4A7C15ull);
    if (goes.size() == 1) {
      const RolloutThreads threads(model_->config());
      make(goes[0], latents);
    } else {
      parallel_for(2, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) make(goes[static_cast<std::size_t>(i)], latents);
      });
    }
    for (Go& go : goes) {
      tokens_ += go.codes.tokens() - settled;
      if (!best || go.verdict.worth > best->verdict.worth) best.emplace(std::move(go));
    }
  }
  kept_.emplace(std::move(*best));
  seen_.insert(seen_.end(), kept_->made.frames.begin(), kept_->made.frames.end());
  const auto most = static_cast<std::size_t>(kSeenSeconds * model_->fps());
  if (seen_.size() > most) seen_.erase(seen_.begin(), seen_.end() - static_cast<std::ptrdiff_t>(most));
  return std::move(kept_->made);
}

}  // namespace orrery::pipeline
