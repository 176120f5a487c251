#include "viewer/state/session.h"

#include <algorithm>
#include <cmath>

#include "apps/pipeline/generate.h"
#include "core/base/error.h"
#include "physics_eval/worlds/from_caption.h"
#include "viewer/state/difference.h"

namespace orrery::viewer {

namespace {

constexpr double kNoticeSeconds = 8;
constexpr std::size_t kMostNotices = 4;
// A live world is made so far ahead of the playhead: what a push waits for at most (with what is in work).
constexpr std::int64_t kAheadEngine = 3;  // frames; the model: a latent frame, and the one in work makes two
// Frames of a live world that one judgement looks at.
constexpr std::int64_t kJudged = 360;
constexpr std::size_t kJudgedBytes = std::size_t{400} << 20;
// A track is picked within so many shares of the picture.
constexpr double kPickReach = 0.08;

}  // namespace

Session::Session(const SessionOptions& options) : options_(options), settings_(Settings::read(options.settings)) {
  shown.dark = settings_.dark, shown.panel = settings_.panel;
  if (!options_.model.empty()) {
    store_ = std::make_shared<ModelStore>(options_.model);
    form.maker = Maker::model;
  }
}

Session::~Session() {
  settings_.dark = shown.dark, settings_.panel = shown.panel;
  settings_.write(options_.settings);
}

void Session::notify(Notice::Kind kind, const std::string& text) {
  notices_.push_back({kind, text, 0});
  if (notices_.size() > kMostNotices) notices_.pop_front();
}

// --- What is watched ---

void Session::watch(std::shared_ptr<Reel> reel, std::shared_ptr<LiveRun> run) {
  if (recording_) toggle_recording();
  judge_.clear();
  judged_file_ = false;
  forget_inside();
  shown.sheet = false;
  reel_ = std::move(reel), run_ = std::move(run);
  other_.reset();
  other_branch_ = -1;
  world_ = {};
  said_.clear();
  shown.picked = -1;
  shown.zoom = 0;
  view_ = View::picture;
  playhead_ = Playhead{};
  playhead_.play();
}

BranchSettings Session::branch_settings() const {
  BranchSettings settings;
  settings.prompt = form.prompt, settings.seed = form.seed;
  settings.sampling = pipeline::kDefaultSampling;
  settings.sampling.temperature = static_cast<double>(form.temperature);
  return settings;
}

void Session::start_run(std::shared_ptr<GeneratorFactory> factory, const BranchSettings& settings) {
  auto run = std::make_shared<LiveRun>(std::move(factory), settings);
  watch(std::make_shared<LiveReel>(run), run);
  shown.tab = Tab::world, shown.tab_asked = true;
}

void Session::start_prompt() {
  try {
    pipeline::check_prompt(form.prompt);
    form.scene.clear();
    if (form.maker == Maker::model) {
      ORRERY_CHECK(store_ != nullptr, options_.no_model);
      ModelRunOptions options;
      options.given_frames = form.given_frames, options.world_seed = form.seed;
      start_run(model_factory(store_, form.prompt, options), branch_settings());
    } else {
      worlds::WorldSpec spec;
      spec.seed = form.seed, spec.width = spec.height = options_.world_size;
      worlds::set_from_caption(spec, form.prompt);
      start_run(engine_factory(spec, form.prompt), branch_settings());
    }
    Settings::remember(settings_.recent_prompts, form.prompt);
  } catch (const Error& error) {
    notify(Notice::Kind::error, error.what());
  }
}

void Session::start_scene() {
  try {
    worlds::WorldSpec spec;
    spec.scene = form.scene.empty() ? "bounce" : form.scene;
    spec.seed = form.seed, spec.width = spec.height = options_.world_size;
    if (!form.corruption.empty()) spec.corruption = worlds::CorruptionSpec{form.corruption, form.corrupt_frame};
    auto factory = engine_factory(spec, "");
    form.prompt = factory->world().caption;
    form.maker = Maker::engine;
    start_run(std::move(factory), branch_settings());
  } catch (const Error& error) {
    notify(Notice::Kind::error, error.what());
  }
}

void Session::branch_here(const worlds::Action& action) {
  if (!run_) return notify(Notice::Kind::info, "Only live worlds branch: type a prompt and press Enter");
  try {
    BranchSettings settings = branch_settings();
    if (info().kind == ReelKind::engine)
      settings = run_->branches()[static_cast<std::size_t>(run_->current())].settings;
    run_->branch(playhead_.frame(), settings, action);
    judge_.clear();
    forget_inside();
    playhead_.play();
  } catch (const Error& error) {
    notify(Notice::Kind::error, error.what());
  }
}

void Session::select_branch(int branch) {
  if (!run_ || branch == run_->current()) return;
  run_->select(branch);
  judge_.clear();
  forget_inside();
  if (other_branch_ == branch) other_.reset(), other_branch_ = -1;
}

void Session::compare_branch(int branch) {
  if (!run_) return;
  other_ = std::make_shared<LiveReel>(run_, branch);
  other_branch_ = branch;
  view_ = View::side_by_side;
}

void Session::step_branch(int by) {
  if (!run_) return;
  const int count = static_cast<int>(run_->branches().size());
  select_branch((run_->current() + by + count) % count);
}

// --- Steering ---

void Session::push(const worlds::Action& action) {
  if (!run_ || action.push == worlds::Push::none) return;
  shown.target_u = action.u, shown.target_v = action.v;
  const ReelInfo now = info();
  const std::int64_t ahead = now.frames - 1 - playhead_.frame();
  // Frames that nobody has seen yet do not count as the past.
  if (ahead <= 2 * run_->chunk_frames() + kAheadEngine) {
    run_->push(action);
    playhead_.play();
  } else {
    branch_here(action);
  }
}

void Session::arrow(worlds::Push way, std::int64_t frames) {
  if (run_ && playhead_.playing() && shown.person) {
    push({way, shown.target_u, shown.target_v});
  } else if (frames != 0) {
    playhead_.step(frames);
  }
}

void Session::seek(std::int64_t frame) { playhead_.seek(frame); }

void Session::press(const KeyPress& pressed) {
  const auto command = command_of(pressed);
  if (!command) return;
  shown.key = keys_of(*command);
  run(*command);
}

void Session::set_view(View view) {
  if (view != View::picture && !has_other())
    return notify(Notice::Kind::info,
                  "Nothing to compare with yet: open a second video (Ctrl+Shift+O), or make a branch (N)");
  view_ = view;
}

// The commands that switch something on and off.
bool Session::toggle(Command command) {
  const auto flip = [](bool& value) { return value = !value, true; };
  switch (command) {
    case Command::toggle_play:
      return playhead_.toggle(), true;
    case Command::person:
      return flip(shown.person);
    case Command::tracks:
    case Command::velocities:
      flip(command == Command::tracks ? shown.tracks : shown.velocities);
      if ((shown.tracks || shown.velocities) && !judgement() && !judging()) judge_now();
      return true;
    case Command::heat_unsure:
      return toggle_heat(Heat::unsure), true;
    case Command::heat_experts:
      return toggle_heat(Heat::experts), true;
    case Command::heat_attention:
      return toggle_heat(Heat::attention), true;
    case Command::panel:
      return flip(shown.panel);
    case Command::help:
      return flip(shown.help);
    case Command::profiler:
      return flip(shown.profiler);
    case Command::theme:
      return flip(shown.dark);
    case Command::full_screen:
      return flip(shown.full_screen);
    case Command::record:
      return toggle_recording(), true;
    case Command::zoom:
      return shown.zoom = shown.zoom == 0 ? 4.0f : 0.0f, true;
    default:
      return false;
  }
}

// The commands that choose what is looked at.
bool Session::look(Command command) {
  switch (command) {
    case Command::view_picture:
      return set_view(View::picture), true;
    case Command::view_other:
      return set_view(View::other), true;
    case Command::view_difference:
      return set_view(View::difference), true;
    case Command::view_side_by_side:
      return set_view(View::side_by_side), true;
    case Command::toggle_other:
      return set_view(view_ == View::other ? View::picture : View::other), true;
    case Command::toggle_difference:
      return set_view(view_ == View::difference ? View::picture : View::difference), true;
    case Command::info:
      return shown.panel = shown.tab_asked = true, shown.tab = Tab::clip, true;
    case Command::sheet:
      return toggle_sheet(), true;
    case Command::previous_clip:
      return step_clip(-1), true;
    case Command::next_clip:
      return step_clip(1), true;
    case Command::open:
      return shown.browser = "open", true;
    case Command::open_beside:
      return shown.browser = "open beside", true;
    case Command::close_popup:
      if (!shown.help && shown.browser.empty() && watching()) shown.sheet = false;
      return shown.help = false, shown.browser.clear(), true;
    default:
      return false;
  }
}

void Session::run(Command command) {
  if (toggle(command) || look(command)) return;
  switch (command) {
    case Command::left:
      return arrow(worlds::Push::left, -1);
    case Command::right:
      return arrow(worlds::Push::right, 1);
    case Command::up:
      return arrow(worlds::Push::up, 0);
    case Command::down:
      return arrow(worlds::Push::down, 0);
    case Command::left_far:
      return playhead_.step(-10);
    case Command::right_far:
      return playhead_.step(10);
    case Command::to_start:
      return playhead_.rewind();
    case Command::to_end:
      return playhead_.to_end();
    case Command::faster:
      return playhead_.faster();
    case Command::slower:
      return playhead_.slower();
    case Command::step:
      return playhead_.step(1);
    case Command::restart:
      if (run_) return form.scene.empty() ? start_prompt() : start_scene();
      playhead_.rewind();
      return playhead_.play();
    case Command::branch_here:
      return branch_here();
    case Command::previous_branch:
      return step_branch(-1);
    case Command::next_branch:
      return step_branch(1);
    case Command::judge:
      return judge_now();
    case Command::worst:
      if (const auto found = judgement(); found && found->score.worst_frame >= 0) {
        playhead_.pause();
        return playhead_.seek(found->first + found->score.worst_frame);
      }
      return notify(Notice::Kind::info, judgement() ? "No frame breaks a law" : "Not judged yet: press P");
    case Command::save_clip:
      return save_clip();
    case Command::screenshot:
      screenshot_asked = true;
      return;
    case Command::quit:
      quit = true;
      return;
    default:
      return;
  }
}

// --- Time ---

void Session::tick(double seconds) {
  for (Notice& notice : notices_) notice.age += seconds;
  while (!notices_.empty() && notices_.front().age > kNoticeSeconds) notices_.pop_front();
  if (!reel_) return;
  const ReelInfo now = info();
  playhead_.set_range(now.first, now.frames, now.fps, now.growing);
  // A file's next frame may still be on its way: the clock waits for it.
  const std::int64_t next = playhead_.frame() + 1;
  const bool waiting = !run_ && playhead_.playing() && next < now.frames && reel_->picture(next) == nullptr;
  if (!waiting) playhead_.tick(seconds);
  reel_->attend(playhead_.frame());
  if (other_) other_->attend(other_frame());
  if (run_) {
    run_->want(playhead_.frame() + 1 + std::max<std::int64_t>(kAheadEngine, run_->chunk_frames()));
    if (world_.bodies.empty() && now.frames > 0) world_ = run_->world();
  }
  look_inside();
  watch_files();
  feed_recording();
  show_errors();
}

// Files are judged by themselves once they are there, when they are short enough.
void Session::watch_files() {
  const auto* file = dynamic_cast<const FileReel*>(reel_.get());
  if (file == nullptr || judged_file_) return;
  const ReelInfo now = info();
  if (now.opening || !now.error.empty() || now.frames < 8) return;
  judged_file_ = true;
  const auto bytes = static_cast<std::size_t>(now.frames) * static_cast<std::size_t>(now.width) *
                     static_cast<std::size_t>(now.height) * 3;
  if (bytes <= kJudgedBytes / 4) judge_now();
}

void Session::show_errors() {
  const ReelInfo now = info();
  std::string text = !now.error.empty() ? now.error : now.remark;
  if (text.empty() && other_) text = other_->info().error;
  if (text.empty() || text == said_) return;
  said_ = text;
  notify(now.error.empty() && (!other_ || other_->info().error.empty()) ? Notice::Kind::warning : Notice::Kind::error,
         text);
}

// --- Pictures ---

bool Session::has_other() const {
  if (other_) return true;
  return run_ && run_->truth(-1, playhead_.frame()) != nullptr;
}

std::string Session::other_name() const {
  if (other_branch_ >= 0) return "branch " + std::to_string(other_branch_ + 1);
  if (other_) return other_->info().title;
  return run_ && info().kind == ReelKind::model ? "truth" : "";
}

Picture Session::main_picture() const { return reel_ ? reel_->picture(playhead_.frame()) : nullptr; }

Picture Session::stand_in() const {
  return reel_ && view_ == View::picture ? reel_->nearest(playhead_.frame()) : nullptr;
}

// The same moment; a shorter clip stands still at its end.
std::int64_t Session::other_frame() const {
  const ReelInfo now = other_->info();
  const std::int64_t frame = other_branch_ >= 0 ? playhead_.frame() : std::llround(playhead_.seconds() * now.fps);
  return std::min(frame, now.frames - 1);
}

Picture Session::other_picture() const {
  if (other_) return other_->picture(other_frame());
  return run_ ? run_->truth(-1, playhead_.frame()) : nullptr;
}

Picture Session::composed() {
  const Picture a = main_picture(), b = view_ == View::picture ? nullptr : other_picture();
  if (view_ == View::picture) return a;
  if (view_ == View::other) return b;
  if (!a || !b) return a;
  if (a != composed_main_ || b != composed_other_ || view_ != composed_view_ || !composed_) {
    composed_main_ = a, composed_other_ = b, composed_view_ = view_;
    composed_ = std::make_shared<const Frame>(view_ == View::difference ? difference(*a, *b) : side_by_side(*a, *b));
  }
  return composed_;
}

worlds::FrameTruth Session::truth() const { return run_ ? run_->state(-1, playhead_.frame()) : worlds::FrameTruth{}; }

Uncertainty Session::uncertainty() const {
  Uncertainty out;
  const ChunkPtr chunk = run_ ? run_->chunk(-1, playhead_.frame()) : nullptr;
  if (chunk == nullptr || chunk->entropy.empty()) return out;
  out.bits = chunk->entropy;
  out.rows = chunk->rows, out.columns = static_cast<int>(chunk->entropy.size()) / std::max(1, chunk->rows);
  out.most = chunk->most_bits;
  return out;
}

// --- Looking inside ---

void Session::toggle_heat(Heat heat) {
  if (shown.heat != heat && info().kind != ReelKind::model)
    return notify(Notice::Kind::info, "Heat maps look into the model: choose Model above, type a prompt, press Enter");
  shown.heat = shown.heat == heat ? Heat::none : heat;
}

void Session::look_inside() {
  const bool wanted =
      shown.heat == Heat::experts || shown.heat == Heat::attention || (shown.panel && shown.tab == Tab::inside);
  if (!wanted || !run_ || store_ == nullptr || info().kind != ReelKind::model) return;
  const ChunkPtr now = run_->chunk(-1, playhead_.frame());
  if (now == nullptr || now == inside_asked_) return;
  if (inside_ == nullptr) inside_ = std::make_unique<Inside>(store_);
  inside_asked_ = now;
  auto [chunks, prompt] = run_->history(playhead_.frame());
  inside_->ask(prompt, std::move(chunks));
}

void Session::forget_inside() {
  if (inside_) inside_->clear();
  inside_asked_.reset();
}

std::shared_ptr<const InsideView> Session::inside() const {
  const auto found = inside_ && run_ ? inside_->answer() : nullptr;
  if (found == nullptr || !found->error.empty()) return found;
  constexpr std::int64_t kBehind = 3;
  const std::int64_t step = run_->chunk_frames(), now = (playhead_.frame() + step - 1) / step;
  return std::abs(now - found->latent) <= (playhead_.playing() ? kBehind : 0) ? found : nullptr;
}

std::int64_t Session::marked_cell(int rows, int columns) const {
  if (rows <= 0 || columns <= 0) return -1;
  const int row = std::clamp(static_cast<int>(shown.target_v * rows), 0, rows - 1);
  return std::int64_t{row} * columns + std::clamp(static_cast<int>(shown.target_u * columns), 0, columns - 1);
}

double Session::world_tokens_a_second() const {
  const ChunkPtr chunk = run_ ? run_->chunk(-1, playhead_.frame()) : nullptr;
  if (chunk == nullptr || chunk->codes.empty()) return 0;
  return run_->rate() / run_->chunk_frames() * static_cast<double>(chunk->codes.size());
}

// --- Judging ---

void Session::judge_now() {
  if (!reel_) return;
  const ReelInfo now = info();
  if (const auto* file = dynamic_cast<const FileReel*>(reel_.get())) return judge_.ask_file(file->path(), kJudgedBytes);
  std::vector<Picture> frames;
  const std::int64_t first = std::max(now.first, playhead_.frame() + 1 - kJudged);
  for (std::int64_t i = first; i <= playhead_.frame(); ++i) {
    const Picture picture = reel_->picture(i);
    if (picture) frames.push_back(picture);
  }
  if (frames.size() < 8) return notify(Notice::Kind::info, "Too few frames to judge yet");
  judge_.ask(std::move(frames), now.fps, first);
}

std::vector<Trail> Session::trails() const {
  const auto found = judgement();
  return found ? trails_of(*found, playhead_.frame()) : std::vector<Trail>{};
}

void Session::pick(double u, double v) {
  shown.target_u = u, shown.target_v = v;
  const auto found = judgement();
  if (!found) return;
  const auto frame = static_cast<std::size_t>(std::max<std::int64_t>(0, playhead_.frame() - found->first));
  double nearest = kPickReach;
  shown.picked = -1;
  for (std::size_t i = 0; i < found->tracks.tracks.size(); ++i) {
    const Track& track = found->tracks.tracks[i];
    if (frame >= track.frames.size() || !track.frames[frame].visible) continue;
    const double distance =
        std::hypot(track.frames[frame].x / found->tracks.width - u, track.frames[frame].y / found->tracks.height - v);
    if (distance < nearest) nearest = distance, shown.picked = static_cast<int>(i);
  }
}

void Session::settle() {
  if (run_) {
    run_->settle(playhead_.frame() + 2);
  } else if (const auto* file = dynamic_cast<const FileReel*>(reel_.get())) {
    file->settle();
  }
  if (const auto* beside = dynamic_cast<const FileReel*>(other_.get())) beside->settle();
  if (sheet_ && shown.sheet) sheet_->settle();
  judge_.settle();
  if (inside_) inside_->settle();
}

}  // namespace orrery::viewer
