#include "viewer/state/script.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "core/io/files.h"
#include "core/io/json.h"

namespace orrery::viewer {

namespace {

constexpr std::int64_t kDragFrames = 8, kHoverFrames = 4;

KeyPress parse_key(const std::string& text, const std::string& where) {
  for (const Binding& binding : bindings())
    if (text == binding.keys) return binding.press;
  throw InputError(where + " is the key \"" + text + "\", expected one that F1 lists, such as Space or Ctrl+E");
}

void read_place(const Json& value, double& u, double& v, const std::string& where) {
  ORRERY_CHECK(value.is_array() && value.as_array().size() == 2, where, " is ", value.brief(), ", expected [u, v]");
  u = value.as_array()[0].as_number(), v = value.as_array()[1].as_number();
}

ScriptStep parse_until(const Json& condition, const std::string& where) {
  static constexpr std::array<const char*, 7> kConditions = {"frame",  "frames", "branches", "saved",
                                                             "judged", "open",   "inside"};
  ORRERY_CHECK(condition.is_object() && condition.as_object().size() == 1, where, ": until is ", condition.brief(),
               ", expected an object with one condition");
  const JsonMember& member = condition.as_object()[0];
  ORRERY_CHECK(std::count(kConditions.begin(), kConditions.end(), member.key) > 0, where, ": until names \"",
               member.key, "\", expected frame, frames, branches, saved, judged, open or inside");
  ScriptStep step;
  step.kind = ScriptStep::Kind::until;
  step.text = member.key;
  step.count = member.value.is_integer() ? member.value.as_integer() : 1;
  return step;
}

ScriptStep parse_step(const Json& json, const std::string& where) {
  ORRERY_CHECK(json.is_object() && !json.as_object().empty(), where, " is ", json.brief(), ", expected an object");
  const JsonMember& first = json.as_object()[0];
  ScriptStep step;
  if (first.key == "until") return parse_until(first.value, where);
  if (first.key == "frames") {
    step.kind = ScriptStep::Kind::frames, step.count = first.value.as_integer();
    return step;
  }
  if (first.key == "drop") {
    step.kind = ScriptStep::Kind::drop;
    for (const Json& file : first.value.as_array()) step.files.push_back(file.as_string());
    ORRERY_CHECK(!step.files.empty(), where, ": drop names no file");
    return step;
  }
  step.text = first.value.as_string();
  if (first.key == "key") {
    step.kind = ScriptStep::Kind::key, step.press = parse_key(step.text, where);
  } else if (first.key == "type") {
    step.kind = ScriptStep::Kind::type;
  } else if (first.key == "screenshot") {
    step.kind = ScriptStep::Kind::screenshot;
  } else if (first.key == "describe") {
    step.kind = ScriptStep::Kind::describe;
  } else if (first.key == "click" || first.key == "drag" || first.key == "hover") {
    step.kind = first.key == "click"  ? ScriptStep::Kind::click
                : first.key == "drag" ? ScriptStep::Kind::drag
                                      : ScriptStep::Kind::hover;
    if (const Json* from = json.find("from")) read_place(*from, step.from_u, step.from_v, where + ": from");
    if (const Json* to = json.find("to")) read_place(*to, step.to_u, step.to_v, where + ": to");
  } else {
    throw InputError(where + " is \"" + first.key +
                     "\", expected key, type, click, drag, hover, drop, frames, until, screenshot or describe");
  }
  return step;
}

}  // namespace

Script parse_script(const std::string& text, const std::string& source) {
  const Json json = Json::parse(text, source);
  Script script;
  if (const Json* window = json.find("window")) {
    double width = 0, height = 0;
    read_place(*window, width, height, source + ": window");
    script.width = static_cast<int>(width), script.height = static_cast<int>(height);
  }
  if (const Json* whole = json.find("whole")) script.whole = whole->as_bool();
  const Json* steps = json.find("steps");
  ORRERY_CHECK(steps != nullptr && steps->is_array(), source, " has no list of steps");
  int number = 0;
  for (const Json& step : steps->as_array())
    script.steps.push_back(parse_step(step, source + ": step " + std::to_string(++number)));
  ORRERY_CHECK(!script.steps.empty(), source, " has no steps");
  return script;
}

Script read_script(const std::string& path) { return parse_script(read_file(path), path); }

Script screenshot_script(std::int64_t frame, const std::string& file) {
  Script script;
  ScriptStep wait;
  wait.kind = ScriptStep::Kind::until, wait.text = "frame", wait.count = frame;
  ScriptStep shot;
  shot.kind = ScriptStep::Kind::screenshot, shot.text = file;
  script.steps = {wait, shot};
  return script;
}

bool ScriptPlayer::met(const ScriptStep& step, const Session& session) const {
  const ReelInfo info = session.info();
  if (step.text == "frame") return session.playhead().frame() >= step.count;
  if (step.text == "frames") return info.frames >= step.count;
  if (step.text == "saved") return session.saved() >= step.count;
  if (step.text == "judged") return session.judgement() != nullptr && !session.judging();
  if (step.text == "inside") return session.inside() != nullptr;
  if (step.text == "open") return session.watching() && !info.opening;
  return session.live() && static_cast<std::int64_t>(session.live_run()->branches().size()) >= step.count;
}

// Down on the second frame, up on the last; true when the step is over.
bool ScriptPlayer::move_pointer(const ScriptStep& step, const Session& session, ScriptInput& input) {
  const auto place = session.shown.places.find(step.text);
  if (place == session.shown.places.end()) {
    std::string known;
    for (const auto& [name, where] : session.shown.places) known += (known.empty() ? "" : ", ") + name;
    throw InputError("the script's place \"" + step.text + "\" is not in the window, which has: " + known);
  }
  const Rect& rect = place->second;
  const bool drag = step.kind == ScriptStep::Kind::drag;
  const bool hover = step.kind == ScriptStep::Kind::hover;
  const std::int64_t last = drag ? kDragFrames : hover ? kHoverFrames : 2;
  const double share =
      drag ? std::clamp((static_cast<double>(within_) - 1) / static_cast<double>(last - 2), 0.0, 1.0) : 0;
  const double u = step.from_u + (step.to_u - step.from_u) * share, v = step.from_v + (step.to_v - step.from_v) * share;
  x_ = rect.x + static_cast<float>(u) * rect.width, y_ = rect.y + static_cast<float>(v) * rect.height;
  pointer_ = true;
  input.down = !hover && within_ >= 1 && within_ < last;
  return within_ >= last;
}

ScriptInput ScriptPlayer::next(const Session& session, double seconds) {
  ScriptInput input;
  input.done = at_ >= script_.steps.size();
  if (!input.done) {
    const ScriptStep& step = script_.steps[at_];
    bool over = true;
    switch (step.kind) {
      case ScriptStep::Kind::key:
        if (within_ == 0) input.press = step.press;
        over = within_ >= 2;  // what it does is drawn
        break;
      case ScriptStep::Kind::type:
        if (within_ == 0) input.text = step.text;
        over = within_ >= 1;
        break;
      case ScriptStep::Kind::drop:
        if (within_ == 0) input.dropped = step.files;
        over = within_ >= 2;
        break;
      case ScriptStep::Kind::click:
      case ScriptStep::Kind::drag:
      case ScriptStep::Kind::hover:
        over = move_pointer(step, session, input);
        break;
      case ScriptStep::Kind::frames:
        over = within_ >= step.count;
        break;
      case ScriptStep::Kind::until:
        over = met(step, session);
        waited_ += seconds;
        ORRERY_CHECK(over || waited_ < kPatience, "the script waited ", kPatience, " s for \"", step.text, "\" ",
                     step.count, " in vain");
        break;
      case ScriptStep::Kind::screenshot:
        input.screenshot = step.text;
        break;
      case ScriptStep::Kind::describe:
        input.description = step.text;
        break;
    }
    ++within_;
    if (over) ++at_, within_ = 0, waited_ = 0;
  }
  input.pointer = pointer_, input.x = x_, input.y = y_;
  // Away, so that no tooltip covers what comes next; but a tooltip that was asked for is to be seen.
  const bool rests = input.done || script_.steps[at_ > 0 ? at_ - 1 : 0].kind == ScriptStep::Kind::hover;
  if (within_ == 0 && !rests) x_ = y_ = -1;
  return input;
}

namespace {

// Means of the last frames, and of those among them that looked other than the one before.
void describe_drawing(const Times& times, Json& json) {
  double changed = 0, share = 0, ms[2] = {}, processor_ms[2] = {};
  for (std::size_t i = 0; i < times.draw.size(); ++i) {
    const double other = times.share[i] > 0 ? 1 : 0;
    changed += other;
    share += static_cast<double>(times.share[i]);
    ms[0] += static_cast<double>(times.draw[i]);
    ms[1] += other * static_cast<double>(times.draw[i]);
    processor_ms[0] += static_cast<double>(times.processor[i]);
    processor_ms[1] += other * static_cast<double>(times.processor[i]);
  }
  const auto all = static_cast<double>(times.draw.size()), some = std::max(1.0, changed);
  json.set("drawing_ms", ms[0] / all);
  json.set("drawing_processor_ms", processor_ms[0] / all);
  json.set("changed_frames", changed / all);
  json.set("drawing_ms_changed", ms[1] / some);
  json.set("drawing_processor_ms_changed", processor_ms[1] / some);
  json.set("drawn_share_changed", share / some);
}

}  // namespace

std::string describe(const Session& session) {
  const ReelInfo info = session.info();
  static constexpr std::array<const char*, 3> kKinds = {"file", "engine", "model"};
  static constexpr std::array<const char*, 4> kViews = {"picture", "other", "difference", "side by side"};
  Json json = Json::object({{"watching", session.watching()},
                            {"kind", kKinds[static_cast<std::size_t>(info.kind)]},
                            {"title", info.title},
                            {"frame", session.playhead().frame()},
                            {"frames", info.frames},
                            {"playing", session.playhead().playing()},
                            {"view", kViews[static_cast<std::size_t>(session.view())]},
                            {"error", info.error}});
  static constexpr std::array<const char*, 4> kHeats = {"none", "unsure", "experts", "attention"};
  json.set("heat", kHeats[static_cast<std::size_t>(session.shown.heat)]);
  json.set("branches", session.live() ? static_cast<std::int64_t>(session.live_run()->branches().size()) : 0);
  if (session.live()) {
    json.set("world_frames_a_second", session.live_run()->rate());
    json.set("world_frames_a_processor_second", session.live_run()->processor_rate());
  }
  describe_drawing(session.times, json);
  json.set("tooltip", session.shown.tooltip);
  json.set("key", session.shown.key);
  Json notices = Json::array();
  for (const Notice& notice : session.notices()) notices.push_back(notice.text);
  json.set("notices", std::move(notices));
  if (const auto found = session.judgement(); found && std::isfinite(found->score.score)) {
    json.set("score", found->score.score);
    json.set("worst_frame", found->score.worst_frame);
  }
  Json places = Json::object();
  for (const auto& [name, place] : session.shown.places) {
    places.set(name, Json(Json::Array{std::lround(place.x), std::lround(place.y), std::lround(place.width),
                                      std::lround(place.height)}));
  }
  json.set("places", std::move(places));
  return json.dump(1) + "\n";
}

}  // namespace orrery::viewer
