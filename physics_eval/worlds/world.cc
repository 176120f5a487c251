#include "physics_eval/worlds/world.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/base/error.h"

namespace orrery::worlds {
namespace {

const WorldSpec& checked(const WorldSpec& spec) {
  ORRERY_CHECK(spec.width >= 8 && spec.height >= 8 && spec.width <= 4096 && spec.height <= 4096, "[worlds] size is ",
               spec.width, "x", spec.height, ", expected 8…4096 pixels a side");
  ORRERY_CHECK(spec.fps >= 1 && spec.fps <= 1000, "[worlds] frame rate is ", spec.fps, ", expected 1…1000");
  for (const std::string& name : spec.colours) colour_of(name);
  return spec;
}

bool is_smooth(Background background) {
  return background != Background::checker && background != Background::two_tone;
}

// Colours that the user named must be on a background they stand out from.
Look look_for(const WorldSpec& spec) {
  const Random random = Random(spec.seed, name_hash("look"));
  Look look = draw_look(random);
  for (std::uint64_t attempt = 1; attempt < 64; ++attempt) {
    const bool clear = std::all_of(spec.colours.begin(), spec.colours.end(), [&](const std::string& name) {
      for (const NamedColour& row : named_colours()) {
        if (row.name == name) return look.dark ? row.on_dark : row.on_light;
      }
      return true;
    });
    if (clear && (!spec.smooth_background || is_smooth(look.background))) break;
    look = draw_look(random.fork(attempt));
  }
  return look;
}

void set_visibility(BodyState& state, const BodyInfo& plain, Vec2 extent) {
  if (state.visible == 0) return;
  const BodyInfo info = shown(plain, state);
  double half_x = info.radius, half_y = info.radius;
  if (info.shape != Shape::disc) {
    const double c = std::abs(std::cos(state.angle)), s = std::abs(std::sin(state.angle));
    half_x = 0.5 * (c * info.width + s * info.height), half_y = 0.5 * (s * info.width + c * info.height);
  }
  const auto inside = [](double centre, double half, double limit) {
    if (half <= 0) return centre >= 0 && centre <= limit ? 1.0 : 0.0;
    if (centre - half >= 0 && centre + half <= limit) return 1.0;
    return std::clamp((std::min(centre + half, limit) - std::max(centre - half, 0.0)) / (2 * half), 0.0, 1.0);
  };
  state.visible = inside(state.position.x, half_x, extent.x) * inside(state.position.y, half_y, extent.y);
}

}  // namespace

BodyInfo shown(const BodyInfo& info, const BodyState& state) {
  BodyInfo seen = info;
  if (!state.colour.empty()) seen.colour = state.colour;
  seen.radius *= state.scale, seen.width *= state.scale, seen.height *= state.scale;
  if (state.reshaped && seen.shape == Shape::disc) {
    // A square of the disc's area; a box becomes a disc of the box's.
    seen.shape = Shape::box;
    seen.width = seen.height = std::sqrt(std::numbers::pi) * seen.radius;
  } else if (state.reshaped) {
    seen.shape = Shape::disc;
    seen.radius = std::sqrt(seen.width * seen.height / std::numbers::pi);
  }
  return seen;
}

const char* shape_name(Shape shape) {
  constexpr std::array<const char*, 4> kNames = {"disc", "box", "rod", "fluid"};
  return kNames[static_cast<std::size_t>(shape)];
}

World::World(const WorldSpec& spec)
    : spec_(checked(spec)), look_(look_for(spec_)), parameters_(spec_.seed, spec_.split, spec_.overrides) {
  const SceneInfo& info = find_scene(spec_.scene);
  SceneContext context{parameters_, look_, static_cast<double>(spec_.width) / spec_.height};
  scene_ = info.make(context);
  parameters_.check_overrides_used(spec_.scene);
  auto& bodies = scene_->bodies();
  const auto drawn =
      draw_colours(look_, std::min<int>(static_cast<int>(bodies.size()), 8), parameters_.random("colours"));
  std::vector<std::string> names = spec_.colours;
  for (const std::string& name : drawn) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    const auto group = static_cast<std::size_t>(scene_->colour_group(static_cast<int>(i)));
    if (bodies[i].colour.empty()) bodies[i].colour = names[group % names.size()];
  }
  still_ = Frame(spec_.width, spec_.height);
  paint_background(look_, still_);
  Canvas canvas(still_, metres_per_pixel());
  scene_->paint_still(canvas);
  if (spec_.corruption.has_value())
    corruptor_ = std::make_unique<Corruptor>(*spec_.corruption, *scene_, parameters_.random("corruption"));
  observe();
}

World::World(World&&) noexcept = default;
World::~World() = default;

void World::observe() {
  truth_.bodies.clear();
  truth_.contacts.clear();
  truth_.t = frame_ / spec_.fps;
  scene_->observe(truth_);
  const Vec2 extent{spec_.width * metres_per_pixel(), spec_.height * metres_per_pixel()};
  if (corruptor_ != nullptr) corruptor_->after(frame_, truth_);
  for (std::size_t i = 0; i < truth_.bodies.size(); ++i) {
    set_visibility(truth_.bodies[i], scene_->bodies()[static_cast<std::size_t>(truth_.bodies[i].id)], extent);
  }
}

void World::step() {
  for (const TimedAction& timed : spec_.actions) {
    if (timed.frame == frame_ + 1) push(timed.action);
  }
  ++frame_;
  if (corruptor_ == nullptr || corruptor_->before(frame_, *scene_)) scene_->advance(1.0 / spec_.fps);
  observe();
}

void World::push(const Action& action) {
  if (action.push == Push::none) return;
  const Vec2 point{action.u * spec_.width * metres_per_pixel(), (1 - action.v) * spec_.height * metres_per_pixel()};
  scene_->push(point, push_direction(action.push) * push_speed());
}

Frame World::draw() const {
  Frame frame = still_;
  Canvas canvas(frame, metres_per_pixel());
  scene_->paint(canvas, truth_);
  return frame;
}

void World::draw(Frame& into) const {
  into = still_;
  Canvas canvas(into, metres_per_pixel());
  scene_->paint(canvas, truth_);
}

std::string World::caption() const { return caption(spec_.seed); }
std::string World::caption(std::uint64_t wording) const {
  return scene_->caption(Random(wording, name_hash("caption")));
}

Annotations World::describe() const {
  Annotations all;
  all.scene = spec_.scene;
  all.seed = spec_.seed;
  all.caption = caption();
  all.fps = spec_.fps;
  all.width = spec_.width;
  all.height = spec_.height;
  all.metres_per_pixel = metres_per_pixel();
  all.gravity = scene_->gravity();
  all.bodies = scene_->bodies();
  all.parameters = parameters_.values();
  return all;
}

}  // namespace orrery::worlds
