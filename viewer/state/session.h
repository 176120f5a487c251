// Everything that the window shows and does, without a window: what is watched, where the playhead is, what the keys
// mean, what is compared, judged and recorded. One thread (the window's); work happens on the threads of its parts.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "viewer/state/file_reel.h"
#include "viewer/state/inside.h"
#include "viewer/state/judge.h"
#include "viewer/state/keys.h"
#include "viewer/state/live_run.h"
#include "viewer/state/playhead.h"
#include "viewer/state/reel.h"
#include "viewer/state/save_job.h"
#include "viewer/state/settings.h"
#include "viewer/state/sheet.h"
#include "viewer/state/trails.h"

namespace orrery::viewer {

enum class View { picture, other, difference, side_by_side };
enum class Maker { engine, model };
enum class Tab { clip, world, physics, plots, inside };
/// What lies over the cells of the picture.
enum class Heat { none, unsure, experts, attention };

/// A line for the person, shown for some seconds.
struct Notice {
  enum class Kind { info, warning, error };
  Kind kind = Kind::info;
  std::string text;
  double age = 0;
};

/// A place in the window, pixels.
struct Rect {
  float x = 0, y = 0, width = 0, height = 0;
};

/// What the panels show beside the clip itself. Panels may write it.
struct Shown {
  bool panel = true, help = false, profiler = false, dark = true, full_screen = false;
  bool tracks = false, velocities = false, person = true;
  Heat heat = Heat::none;
  /// The layer that heat maps are about; attention is the mean of all while `all_layers`.
  int layer = 0;
  bool all_layers = true;
  /// The folder's contact sheet lies over the picture.
  bool sheet = false;
  Tab tab = Tab::world;
  /// The side panel turns to `tab` in the next drawn frame.
  bool tab_asked = true;
  /// 0: the picture fits the window; else screen pixels a picture pixel, about the pan point (shares of the picture).
  float zoom = 0, pan_u = 0.5f, pan_v = 0.5f;
  /// Where arrow keys push and whose cell attention is about (shares of the picture), and the track that plots are
  /// about (-1: none).
  double target_u = 0.5, target_v = 0.5;
  int picked = -1;
  /// The file list that is open: "", "open" or "open beside".
  std::string browser;
  /// Where things are, by name: for scripts, that click and check by name.
  std::map<std::string, Rect> places;
  /// The tooltip that the last drawn frame showed.
  std::string tooltip;
  /// The last key that meant something, as help names it.
  std::string key;
};

/// The prompt line and what is beside it. Panels edit it; start_prompt() and branch_here() read it.
struct Form {
  std::string prompt = "a red ball bounces on the floor";
  std::uint64_t seed = 42;
  Maker maker = Maker::engine;
  float temperature = 0.9f;
  int given_frames = 9;
  /// Engine worlds by name; empty: by the prompt. And the law to break from frame `corrupt_frame` on; empty: none.
  std::string scene, corruption;
  int corrupt_frame = 36;
};

/// How unsure the model was of each cell of the latent frame at the playhead.
struct Uncertainty {
  int rows = 0, columns = 0;
  /// Bits a cell, row-major; empty where the model drew nothing. `most`: of a choice with no preference at all.
  std::vector<float> bits;
  double most = 13;
};

struct Times {
  /// Milliseconds: the last drawn frames; of it drawing alone (without waiting for the screen).
  std::array<float, 120> frame{}, draw{};
  /// Of the window's own thread, drawing: less than `draw` when other work has the processor, or the driver draws on
  /// threads of its own.
  std::array<float, 120> processor{};
  /// Share of the window that had to be drawn.
  std::array<float, 120> share{};
  std::size_t next = 0;
};

struct SessionOptions {
  /// Where recordings and screenshots go.
  std::string folder = ".";
  /// Empty: no model; the engine makes all worlds.
  std::string model;
  /// Why there is none, for the notice when one is asked for.
  std::string no_model;
  /// The settings file; empty: nothing is kept.
  std::string settings;
  /// Pixels of the engine's worlds.
  int world_size = 320;
};

class Session {
 public:
  explicit Session(const SessionOptions& options);
  /// Ends recordings (their files are playable) and threads.
  ~Session();

  // What is watched.
  /// A video or picture; a folder: its contact sheet.
  void open(const std::string& path);
  void open_beside(const std::string& path);
  /// The form's prompt from the start, by the form's maker.
  void start_prompt();
  /// The form's scene from the start, by the engine.
  void start_scene();
  /// Leaves the current world at the playhead under the form's prompt and seed.
  void branch_here(const worlds::Action& action = {});
  void select_branch(int branch);
  /// Compares the current branch with another one.
  void compare_branch(int branch);

  /// A push on the picture: acts at once at the newest frame of a world; earlier, it makes a branch.
  void push(const worlds::Action& action);
  void press(const KeyPress& press);
  void run(Command command);
  /// Moves on by real time.
  void tick(double seconds);
  void seek(std::int64_t frame);

  // What is shown.
  ReelInfo info() const { return reel_ ? reel_->info() : ReelInfo{}; }
  bool watching() const { return reel_ != nullptr; }
  bool live() const { return run_ != nullptr; }
  const LiveRun* live_run() const { return run_.get(); }
  Playhead& playhead() { return playhead_; }
  const Playhead& playhead() const { return playhead_; }
  View view() const { return view_; }
  void set_view(View view);
  bool has_other() const;
  /// "truth", "branch 2" or the other file's name.
  std::string other_name() const;
  std::string other_error() const { return other_ ? other_->info().error : std::string(); }
  Picture main_picture() const;
  Picture other_picture() const;
  /// For the moment in which the picture is not there yet: a near frame of the file, perhaps small; else null.
  Picture stand_in() const;
  /// What the view shows as one picture (the difference computed, two beside each other); null when not there yet.
  /// The same pointer while nothing changes.
  Picture composed();
  /// The engine's truth at the playhead: bodies empty without one. world(): scale and bodies.
  worlds::FrameTruth truth() const;
  const worlds::Annotations& world() const { return world_; }

  Uncertainty uncertainty() const;
  /// Experts and attention of the latent frame at the playhead (while it plays, perhaps of one just before); null when
  /// nobody looks inside, there is no model's world, or it is not worked out yet.
  std::shared_ptr<const InsideView> inside() const;
  /// The cell under the mark, row-major; -1 where there are no cells.
  std::int64_t marked_cell(int rows, int columns) const;
  /// What the model's thread could make; 0 without a model.
  double world_tokens_a_second() const;

  // Judging.
  void judge_now();
  std::shared_ptr<const Judgement> judgement() const { return judge_.answer(); }
  bool judging() const { return judge_.busy(); }
  /// The tracked bodies at the playhead; empty before a judgement.
  std::vector<Trail> trails() const;
  /// Picks the track nearest to a place in the picture, if one is near.
  void pick(double u, double v);

  // Files.
  /// The folder that was opened, or that of the open file after its sheet was asked for; null before.
  Sheet* sheet() const { return sheet_.get(); }
  /// Opens a clip of the sheet.
  void open_clip(std::size_t clip);
  /// The open file; empty for live worlds.
  std::string open_path() const;
  void toggle_recording();
  bool recording() const { return recording_ != nullptr; }
  std::int64_t recorded_frames() const { return recording_ ? recording_->frames() : 0; }
  void save_clip();
  const SaveJob* saving() const { return saving_.get(); }
  /// Videos written so far.
  int saved() const { return saved_; }
  /// A name in the folder that no file has yet: "orrery-3.png".
  std::string fresh_name(const std::string& stem, const std::string& extension) const;

  void notify(Notice::Kind kind, const std::string& text);
  const std::deque<Notice>& notices() const { return notices_; }
  bool model_available() const { return !options_.model.empty(); }
  const std::string& model_folder() const { return options_.model; }
  const std::string& no_model() const { return options_.no_model; }
  Settings& settings() { return settings_; }

  Shown shown;
  Form form;
  Times times;
  bool quit = false, screenshot_asked = false;

  /// Waits for what is on its way (frames at the playhead, the judge): for tests and scripts.
  void settle();

 private:
  void watch(std::shared_ptr<Reel> reel, std::shared_ptr<LiveRun> run);
  void start_run(std::shared_ptr<GeneratorFactory> factory, const BranchSettings& settings);
  BranchSettings branch_settings() const;
  void arrow(worlds::Push push, std::int64_t frames);
  void step_branch(int by);
  void toggle_sheet();
  void show_sheet();
  void step_clip(int by);
  void toggle_heat(Heat heat);
  void look_inside();
  void forget_inside();
  bool toggle(Command command);
  bool look(Command command);
  std::int64_t other_frame() const;
  void feed_recording();
  void watch_files();
  void show_errors();
  std::string record_metadata() const;

  SessionOptions options_;
  Settings settings_;
  std::shared_ptr<ModelStore> store_;
  std::shared_ptr<Reel> reel_, other_;
  std::shared_ptr<LiveRun> run_;
  int other_branch_ = -1;  // ≥ 0: other_ is that branch
  worlds::Annotations world_;
  Playhead playhead_;
  View view_ = View::picture;
  Judge judge_;
  std::unique_ptr<Inside> inside_;
  ChunkPtr inside_asked_;
  std::unique_ptr<Sheet> sheet_;
  bool judged_file_ = false;
  std::unique_ptr<SaveJob> recording_, saving_;
  std::vector<std::unique_ptr<SaveJob>> ending_;
  std::int64_t recorded_ = -1;
  int saved_ = 0;
  std::deque<Notice> notices_;
  std::string said_;  // the last error or remark of the reels, said once
  Picture composed_, composed_main_, composed_other_;
  View composed_view_ = View::picture;
};

}  // namespace orrery::viewer
