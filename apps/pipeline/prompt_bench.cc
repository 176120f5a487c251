#include "apps/pipeline/prompt_bench.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "apps/pipeline/codec_bench.h"
#include "apps/pipeline/describe.h"
#include "apps/pipeline/prompt_check.h"
#include "apps/pipeline/sentence.h"
#include "physics_eval/laws/laws.h"
#include "physics_eval/worlds/sample.h"
#include "video/frames/contact_sheet.h"
#include "video/io/writer.h"

namespace orrery::pipeline {

namespace {

struct Clip {
  std::vector<Frame> frames;
  PromiseKept kept;
  double physics = std::nan("");
  Sighted late;
  double late_changes = 0;
};

// Share of a clip's codes that are others than those one latent frame before.
double changes(const LatentCodec& codec, std::span<const Frame> frames) {
  const std::vector<std::int32_t> codes = encode_clip(codec, frames);
  const auto latents =
      static_cast<std::size_t>(latent_frames(codec.config(), static_cast<std::int64_t>(frames.size())));
  const std::size_t cells = codes.size() / latents;
  // The first latent frame is one frame alone: nothing to compare with.
  std::size_t other = 0, count = 0;
  for (std::size_t i = 2 * cells; i < codes.size(); ++i, ++count) other += codes[i] != codes[i - cells];
  return count > 0 ? static_cast<double>(other) / static_cast<double>(count) : 0;
}

void measure(Clip& clip, const Promise& promise, const LatentCodec& codec, double fps) {
  const Tracks tracks = track(clip.frames, fps);
  clip.kept = check_promise(promise, tracks);
  clip.kept.colour = clip.kept.colour && promise.colours_said;
  clip.physics = score_physics(tracks).score;
  const std::size_t frames = clip.frames.size(), late = std::min(frames, static_cast<std::size_t>(2 * fps));
  clip.late = sighted(tracks, frames - late, frames);
  clip.late_changes = changes(codec, std::span(clip.frames).last(late));
}

void add(PromptRow::Side& side, const Clip& clip) {
  side.colour += clip.kept.colour, side.count_frames += clip.kept.count_frames, side.count += clip.kept.count;
  side.motion += clip.kept.motion, side.moves_late += clip.kept.moves_late;
  if (std::isfinite(clip.physics)) side.physics += clip.physics, ++side.scored;
  side.late_bodies += clip.late.bodies, side.late_changes += clip.late_changes;
  if (std::isfinite(clip.late.radius)) side.late_radius += clip.late.radius, ++side.with_radius;
  if (std::isfinite(clip.late.speed)) side.late_speed += clip.late.speed, ++side.with_speed;
}

void add(PromptRow::Side& side, const PromptRow::Side& other) {
  side.colour += other.colour, side.count_frames += other.count_frames, side.count += other.count;
  side.motion += other.motion, side.moves_late += other.moves_late;
  side.physics += other.physics, side.scored += other.scored;
  side.late_bodies += other.late_bodies, side.late_changes += other.late_changes;
  side.late_radius += other.late_radius, side.with_radius += other.with_radius;
  side.late_speed += other.late_speed, side.with_speed += other.with_speed;
}

void divide(PromptRow::Side& side, double clips, double named) {
  side.colour /= std::max(1.0, named);
  for (double* sum :
       {&side.count_frames, &side.count, &side.motion, &side.moves_late, &side.late_bodies, &side.late_changes})
    *sum /= clips;
  const auto mean = [](double& sum, std::int64_t count) { sum /= std::max<double>(1, static_cast<double>(count)); };
  mean(side.physics, side.scored), mean(side.late_radius, side.with_radius), mean(side.late_speed, side.with_speed);
}

void describe_engine(const LoadedModel& model, const Clip& engine, const std::string& caption, PromptRow& row) {
  const std::int64_t latents = describe_latents(model);
  const auto frames = static_cast<std::size_t>(decoded_frames(model.codec().config(), latents));
  const auto codes = encode_clip(model.codec(), std::span(engine.frames).first(std::min(frames, engine.frames.size())));
  const Said truth = read_sentence(caption), said = read_sentence(describe(model, codes));
  // A sentence need not say everything: what the truth's does not say is not asked for.
  row.described_colour += truth.colours.empty() || said.colours.empty() || said.colours == truth.colours;
  row.described_count += said.count == truth.count;
  row.described_motion +=
      said.motion == truth.motion && (truth.direction == 0 || said.direction == 0 || said.direction == truth.direction);
}

void write_sheet(const std::string& folder, std::int64_t index, const std::string& caption, const Clip& model,
                 const Clip& engine) {
  constexpr int kColumns = 12;
  std::vector<Frame> cells;
  std::vector<std::string> labels;
  for (const Clip* clip : {&model, &engine})
    for (int k = 0; k < kColumns; ++k) {
      cells.push_back(clip->frames[clip->frames.size() * static_cast<std::size_t>(k) / kColumns]);
      labels.push_back(k == 0 ? (clip == &model ? caption : "engine") : "");
    }
  ContactSheet sheet;
  sheet.columns = kColumns;
  char name[32];
  std::snprintf(name, sizeof name, "prompt-%03d.png", static_cast<int>(index));
  write_image((std::filesystem::path(folder) / name).string(), make_contact_sheet(cells, labels, sheet));
}

std::string late_table(const std::vector<PromptRow>& rows) {
  std::string text =
      "| scene | bodies | radius, % of height | speed, % of height/s | codes that change, % |\n"
      "|---|---|---|---|---|\n";
  for (const PromptRow& row : rows) {
    const PromptRow::Side &model = row.model, &engine = row.engine;
    char line[200];
    std::snprintf(line, sizeof line, "| %s | %.2f (%.2f) | %.1f (%.1f) | %.0f (%.0f) | %.1f (%.1f, %.1f) |\n",
                  row.scene.c_str(), model.late_bodies, engine.late_bodies, model.late_radius, engine.late_radius,
                  model.late_speed, engine.late_speed, 100 * model.late_changes, 100 * row.codec.late_changes,
                  100 * engine.late_changes);
    text += line;
  }
  return text + "The last two seconds: the model's clips (the engine's; of codes, also its clips through the codec).\n";
}

}  // namespace

std::vector<PromptRow> bench_prompts(const LoadedModel& model, const PromptBenchOptions& options,
                                     const std::function<void(std::int64_t)>& update, const std::atomic<bool>* stop) {
  worlds::SampleOptions sample;
  sample.width = model.width(), sample.height = model.height(), sample.fps = model.fps();
  sample.scenes = options.scenes;
  sample.smooth_backgrounds = true;
  std::vector<PromptRow> rows;
  for (const worlds::SceneInfo& scene : worlds::scene_registry()) {
    PromptRow row;
    row.scene = scene.name;
    rows.push_back(row);
  }
  for (std::int64_t i = 0; i < options.count && !(stop != nullptr && *stop); ++i) {
    worlds::World world(
        worlds::sample_spec(options.seed + worlds::kHeldOutSeed, static_cast<std::uint64_t>(i), sample));
    const std::string caption = world.caption();
    const Promise promise = promise_of(world, caption);
    ClipSpec spec;
    spec.prompt = caption, spec.seed = options.seed + static_cast<std::uint64_t>(i), spec.seconds = options.seconds;
    spec.fps = model.fps(), spec.sampling = options.sampling, spec.tries = options.tries;
    spec.cfg_scale = options.cfg_scale;
    Clip engine, made, coded;
    for (std::int64_t f = 0; f < spec.frames(); ++f) {
      if (f > 0) world.step();
      engine.frames.push_back(world.draw());
    }
    for_each_frame(model, spec, {}, [&](const Frame& frame) { made.frames.push_back(frame); });
    coded.frames = round_trip(model.codec(), engine.frames);
    measure(engine, promise, model.codec(), spec.fps);
    measure(coded, promise, model.codec(), spec.fps);
    measure(made, promise, model.codec(), spec.fps);
    PromptRow& row =
        *std::find_if(rows.begin(), rows.end(), [&](const PromptRow& other) { return other.scene == promise.scene; });
    ++row.clips;
    row.named += promise.colours_said;
    add(row.model, made);
    add(row.codec, coded);
    add(row.engine, engine);
    if (options.describe) describe_engine(model, engine, caption, row);
    if (!options.sheet_folder.empty() && i < options.sheets)
      write_sheet(options.sheet_folder, i, caption, made, engine);
    if (update) update(i + 1);
  }
  std::erase_if(rows, [](const PromptRow& row) { return row.clips == 0; });
  PromptRow all;
  all.scene = "all";
  for (const PromptRow& row : rows) {
    all.clips += row.clips, all.named += row.named;
    add(all.model, row.model);
    add(all.codec, row.codec);
    add(all.engine, row.engine);
    all.described_colour += row.described_colour, all.described_count += row.described_count,
        all.described_motion += row.described_motion;
  }
  if (all.clips > 0) rows.push_back(all);
  for (PromptRow& row : rows) {
    const auto clips = static_cast<double>(row.clips), named = static_cast<double>(row.named);
    divide(row.model, clips, named);
    divide(row.codec, clips, named);
    divide(row.engine, clips, named);
    row.described_colour /= clips, row.described_count /= clips, row.described_motion /= clips;
  }
  return rows;
}

Json prompt_bench_json(const std::vector<PromptRow>& rows, const PromptBenchOptions& options) {
  const auto side = [](const PromptRow::Side& from) {
    return Json::object({{"colour", from.colour},
                         {"count_frames", from.count_frames},
                         {"count", from.count},
                         {"motion", from.motion},
                         {"moves_late", from.moves_late},
                         {"physics", from.physics},
                         {"scored", from.scored},
                         {"late_bodies", from.late_bodies},
                         {"late_radius_percent", from.late_radius},
                         {"late_speed_percent", from.late_speed},
                         {"late_changes", from.late_changes}});
  };
  Json list = Json::array();
  for (const PromptRow& row : rows) {
    Json line = Json::object({{"scene", row.scene},
                              {"clips", row.clips},
                              {"colours_named", row.named},
                              {"model", side(row.model)},
                              {"codec", side(row.codec)},
                              {"engine", side(row.engine)},
                              {"physics_ratio", row.model.physics / std::max(1e-9, row.engine.physics)}});
    if (options.describe)
      line.set("described", Json::object({{"colour", row.described_colour},
                                          {"count", row.described_count},
                                          {"motion", row.described_motion}}));
    list.push_back(std::move(line));
  }
  return Json::object({{"bench", "prompts"}, {"seconds", options.seconds}, {"seed", options.seed}, {"rows", list}});
}

std::string prompt_bench_table(const std::vector<PromptRow>& rows) {
  using Side = PromptRow::Side;
  std::string text =
      "| scene | clips | colour | count, frames | count, clips | motion | moves at 8 s | physics | describes colour | "
      "count | motion |\n|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const PromptRow& row : rows) {
    char cell[96];
    text += "| " + row.scene + " | " + std::to_string(row.clips) + " |";
    for (const auto share : {&Side::colour, &Side::count_frames, &Side::count, &Side::motion, &Side::moves_late}) {
      std::snprintf(cell, sizeof cell, " %.0f (%.0f, %.0f) |", 100 * row.model.*share, 100 * row.codec.*share,
                    100 * row.engine.*share);
      text += cell;
    }
    const auto score = [](const Side& side) {
      char number[32] = "–";
      if (side.scored > 0) std::snprintf(number, sizeof number, "%.2f", side.physics);
      return std::string(number);
    };
    std::snprintf(cell, sizeof cell, " %.0f | %.0f | %.0f |\n", 100 * row.described_colour, 100 * row.described_count,
                  100 * row.described_motion);
    text += " " + score(row.model) + " (" + score(row.codec) + ", " + score(row.engine) + ") |" + cell;
  }
  text +=
      "Per cent of the model's clips; in brackets the engine's own clips of the same sentences, through the codec and "
      "as they are. Colours: of the sentences that name all of them.\n\n";
  return text + late_table(rows);
}

}  // namespace orrery::pipeline
