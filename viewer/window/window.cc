// The loop: input → session → panels → screen.
#include "viewer/window/window.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>
#include <thread>

#include "core/base/error.h"
#include "core/io/files.h"
#include "video/io/writer.h"
#include "viewer/state/thread_clock.h"
#include "viewer/window/screen.h"

namespace orrery::viewer {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kFrame = 1.0 / 60;     // seconds between drawn frames while something moves
constexpr double kIdle = 1.0 / 12;      // and while nothing does
constexpr double kScripted = 1.0 / 30;  // the session's time between drawn frames of a script

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

bool is_idle(const Session& session) {
  return !session.playhead().playing() && !session.recording() && !session.judging() && session.notices().empty();
}

void open_dropped(Session& session, const std::vector<std::string>& paths) {
  for (std::size_t i = 0; i < paths.size(); ++i) i == 0 ? session.open(paths[i]) : session.open_beside(paths[i]);
}

std::string whole_path(const std::string& path) {
  const std::filesystem::path file(path);
  return (file.parent_path() / (file.stem().string() + "-whole.png")).string();
}

void save_screenshot(Session& session, const Frame& frame, const std::string& path, bool with_description) {
  try {
    write_image(path, frame);
    if (with_description) return write_file(std::filesystem::path(path).replace_extension(".json"), describe(session));
    session.notify(Notice::Kind::info, "Saved " + path);
  } catch (const Error& error) {
    if (with_description) throw;
    session.notify(Notice::Kind::error, error.what());
  }
}

class Loop {
 public:
  Loop(Session& session, const WindowOptions& options, Screen& screen)
      : session_(session), options_(options), screen_(screen) {
    if (!options.script.empty()) player_.emplace(options.script);
  }
  void run() {
    auto last = Clock::now();
    for (bool first = true;; first = false) {
      const double wait = first ? 0 : pause(last);
      const Incoming incoming = screen_.poll(wait);
      const double seconds = since(last);
      last = Clock::now();
      const ScriptInput input = player_ ? scripted(seconds) : ScriptInput{};
      for (const KeyPress& press : incoming.presses) session_.press(press);
      open_dropped(session_, incoming.dropped);
      // A hang of the machine is no reason to jump.
      session_.tick(player_ ? kScripted : std::min(seconds, 0.25));
      draw(input, seconds);
      if (incoming.close || session_.quit || input.done) return;
    }
  }

 private:
  // Keeps the pace where the screen does not (no vertical sync under Xvfb), and rests while nothing moves.
  double pause(Clock::time_point last) const {
    const double wanted = !player_ && is_idle(session_) ? kIdle : kFrame;
    const double left = wanted - since(last);
    if (left > 0 && wanted == kFrame) std::this_thread::sleep_for(std::chrono::duration<double>(left));
    return wanted == kIdle ? std::max(left, 0.001) : 0;
  }

  ScriptInput scripted(double seconds) {
    ScriptInput input = player_->next(session_, seconds);
    if (input.press) screen_.inject(*input.press);
    if (!input.text.empty()) screen_.inject_text(input.text);
    if (!input.dropped.empty()) screen_.inject_drop(input.dropped);
    if (input.pointer) screen_.inject_pointer(input.x, input.y, input.down);
    return input;
  }

  void draw(const ScriptInput& input, double seconds) {
    const auto begin = Clock::now();
    const double worked = thread_seconds();
    screen_.begin_frame(session_.shown.dark);
    draw_panels(session_, screen_.textures(), screen_.scale());
    screen_.end_frame(session_.shown.dark);
    Times& times = session_.times;
    times.draw[times.next] = static_cast<float>(since(begin) * 1000);
    times.processor[times.next] = static_cast<float>((thread_seconds() - worked) * 1000);
    times.share[times.next] = static_cast<float>(screen_.drawn_share());
    times.frame[times.next] = static_cast<float>(seconds * 1000);
    times.next = (times.next + 1) % times.draw.size();
    if (!input.screenshot.empty()) {
      const std::string path = options_.screenshot_folder + "/" + input.screenshot;
      save_screenshot(session_, screen_.read(), path, true);
      if (options_.script.whole) {
        screen_.draw_whole(session_.shown.dark);
        write_image(whole_path(path), screen_.read());
      }
    }
    if (!input.description.empty())
      write_file(options_.screenshot_folder + "/" + input.description, describe(session_));
    if (std::exchange(session_.screenshot_asked, false))
      save_screenshot(session_, screen_.read(), session_.fresh_name("screenshot", ".png"), false);
    screen_.show();
    screen_.set_full_screen(session_.shown.full_screen);
    const std::string title = session_.watching() ? session_.info().title + " - Orrery" : "Orrery";
    if (title != title_) screen_.set_title(title_ = title);
  }

  Session& session_;
  const WindowOptions& options_;
  Screen& screen_;
  std::optional<ScriptPlayer> player_;
  std::string title_;
};

}  // namespace

void run_window(Session& session, const WindowOptions& options) {
  const auto chosen = [](int first, int second, int third) { return first > 0 ? first : second > 0 ? second : third; };
  Screen screen(chosen(options.width, options.script.width, session.settings().width),
                chosen(options.height, options.script.height, session.settings().height), options.scale);
  Loop(session, options, screen).run();
  screen.size(session.settings().width, session.settings().height);
  screen.hide();  // what still has to be written is waited for out of sight
}

}  // namespace orrery::viewer
