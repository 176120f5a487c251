#include "physics_eval/worlds/annotations_json.h"

#include "core/base/error.h"
#include "core/io/fields.h"

namespace orrery::worlds {
namespace {

Json body_json(const BodyInfo& body) {
  Json json = Json::object({{"id", body.id},
                            {"shape", shape_name(body.shape)},
                            {"mass", body.mass},
                            {"radius", body.radius},
                            {"inertia", body.inertia},
                            {"colour", body.colour},
                            {"restitution", body.restitution},
                            {"friction", body.friction}});
  if (body.shape != Shape::disc) json.set("width", body.width), json.set("height", body.height);
  return json;
}

Json state_json(const BodyState& state) {
  Json json = Json::object({{"id", state.id},
                            {"x", state.position.x},
                            {"y", state.position.y},
                            {"angle", state.angle},
                            {"vx", state.velocity.x},
                            {"vy", state.velocity.y},
                            {"omega", state.omega},
                            {"visible", state.visible}});
  if (state.scale != 1) json.set("scale", state.scale);
  if (!state.colour.empty()) json.set("colour", state.colour);
  if (state.reshaped) json.set("reshaped", true);
  return json;
}

Json numbers_json(const std::map<std::string, double>& numbers) {
  Json json = Json::object();
  for (const auto& [name, value] : numbers) json.set(name, value);
  return json;
}

Json frame_json(const FrameTruth& frame) {
  Json bodies = Json::array(), contacts = Json::array();
  for (const BodyState& state : frame.bodies) bodies.push_back(state_json(state));
  for (const ContactState& contact : frame.contacts) {
    contacts.push_back(Json::object({{"a", contact.a}, {"b", contact.b}, {"impulse", contact.impulse}}));
  }
  Json json = Json::object({{"t", frame.t}});
  json.set("bodies", std::move(bodies));
  json.set("contacts", std::move(contacts));
  json.set("energy", frame.energy());
  json.set("kinetic", frame.kinetic);
  json.set("potential", frame.potential);
  json.set("momentum", Json::Array{frame.momentum.x, frame.momentum.y});
  if (!frame.extra.empty()) json.set("extra", numbers_json(frame.extra));
  return json;
}

Vec2 read_vector(const Fields& fields, std::string_view name) {
  const auto values = fields.numbers(name);
  ORRERY_CHECK(values.size() == 2, fields.where(name), " has ", values.size(), " numbers, expected 2");
  return {values[0], values[1]};
}

std::map<std::string, double> read_numbers(const Fields& fields, std::string_view name) {
  std::map<std::string, double> numbers;
  if (!fields.has(name)) return numbers;
  for (const JsonMember& member : fields.raw(name).as_object()) numbers[member.key] = member.value.as_number();
  return numbers;
}

BodyInfo read_body(const Fields& fields) {
  BodyInfo body;
  body.id = static_cast<int>(fields.integer("id"));
  const std::string shape = fields.choice("shape", {"disc", "box", "rod", "fluid"});
  for (const Shape each : {Shape::disc, Shape::box, Shape::rod, Shape::fluid}) {
    if (shape == shape_name(each)) body.shape = each;
  }
  body.mass = fields.number("mass");
  body.radius = fields.number("radius");
  body.inertia = fields.number_or("inertia", 0);
  body.width = fields.number_or("width", 0);
  body.height = fields.number_or("height", 0);
  body.colour = fields.text("colour");
  body.restitution = fields.number("restitution");
  body.friction = fields.number("friction");
  return body;
}

FrameTruth read_frame(const Fields& fields) {
  FrameTruth frame;
  frame.t = fields.number("t");
  for (const Fields& at : fields.objects("bodies")) {
    BodyState state;
    state.id = static_cast<int>(at.integer("id"));
    state.position = {at.number("x"), at.number("y")};
    state.velocity = {at.number("vx"), at.number("vy")};
    state.angle = at.number("angle");
    state.omega = at.number("omega");
    state.visible = at.number("visible");
    state.scale = at.number_or("scale", 1);
    state.colour = at.text_or("colour", "");
    state.reshaped = at.boolean_or("reshaped", false);
    frame.bodies.push_back(state);
  }
  for (const Fields& at : fields.objects("contacts")) {
    frame.contacts.push_back(
        {static_cast<int>(at.integer("a")), static_cast<int>(at.integer("b")), at.number("impulse")});
  }
  frame.kinetic = fields.number_or("kinetic", 0);
  frame.potential = fields.number("energy") - frame.kinetic;
  if (fields.has("potential")) frame.potential = fields.number("potential");
  frame.momentum = read_vector(fields, "momentum");
  frame.extra = read_numbers(fields, "extra");
  return frame;
}

}  // namespace

Json to_json(const Annotations& annotations) {
  Json bodies = Json::array(), frames = Json::array();
  for (const BodyInfo& body : annotations.bodies) bodies.push_back(body_json(body));
  for (const FrameTruth& frame : annotations.frames) frames.push_back(frame_json(frame));
  Json json = Json::object({{"schema", annotations.schema},
                            {"scene", annotations.scene},
                            {"seed", annotations.seed},
                            {"caption", annotations.caption},
                            {"fps", annotations.fps},
                            {"width", annotations.width},
                            {"height", annotations.height},
                            {"metres_per_pixel", annotations.metres_per_pixel}});
  json.set("gravity", Json::Array{annotations.gravity.x, annotations.gravity.y});
  json.set("parameters", numbers_json(annotations.parameters));
  json.set("bodies", std::move(bodies));
  json.set("frames", std::move(frames));
  if (annotations.corruption.has_value()) {
    const CorruptionTruth& corruption = *annotations.corruption;
    Json broken = Json::array();
    for (const bool each : corruption.broken) broken.push_back(each);
    json.set("corruption", Json::object({{"kind", corruption.kind},
                                         {"frame", corruption.frame},
                                         {"observable", corruption.observable},
                                         {"broken", std::move(broken)}}));
  } else {
    json.set("corruption", nullptr);
  }
  return json;
}

Annotations annotations_from_json(const Json& json, const std::string& source) {
  const Fields fields(json, source);
  Annotations all;
  all.schema = static_cast<int>(fields.integer("schema", {1, 1}));
  all.scene = fields.text("scene");
  all.seed = static_cast<std::uint64_t>(fields.integer("seed"));
  all.caption = fields.text("caption");
  all.fps = fields.number("fps");
  all.width = static_cast<int>(fields.integer("width", {1, 65536}));
  all.height = static_cast<int>(fields.integer("height", {1, 65536}));
  all.metres_per_pixel = fields.number("metres_per_pixel");
  all.gravity = read_vector(fields, "gravity");
  all.parameters = read_numbers(fields, "parameters");
  for (const Fields& body : fields.objects("bodies")) all.bodies.push_back(read_body(body));
  for (const Fields& frame : fields.objects("frames")) all.frames.push_back(read_frame(frame));
  if (fields.has("corruption")) {
    const Fields at = fields.object("corruption");
    CorruptionTruth corruption;
    corruption.kind = at.text("kind");
    corruption.frame = static_cast<int>(at.integer("frame"));
    corruption.observable = at.boolean("observable");
    if (at.has("broken")) {
      for (const Json& each : at.raw("broken").as_array()) corruption.broken.push_back(each.as_bool());
    }
    all.corruption = corruption;
  }
  return all;
}

}  // namespace orrery::worlds
