#include "physics_eval/worlds/look.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/error.h"

namespace orrery::worlds {
namespace {

constexpr std::array<NamedColour, 10> kColours = {{{"red", {214, 40, 44}, true, true},
                                                   {"green", {46, 164, 72}, true, true},
                                                   {"blue", {44, 92, 222}, true, true},
                                                   {"yellow", {240, 204, 36}, true, true},
                                                   {"purple", {140, 62, 190}, true, true},
                                                   {"orange", {242, 128, 28}, true, true},
                                                   {"cyan", {40, 190, 210}, true, true},
                                                   {"pink", {240, 120, 176}, true, true},
                                                   {"white", {238, 238, 238}, false, true},
                                                   {"black", {30, 30, 34}, true, false}}};

Colour muted(Random& random, float level) {
  // A tint of at most ±8 in each channel: no body colour is that close to grey but white and black.
  const auto tint = [&] { return level + static_cast<float>(random.uniform(-8, 8)); };
  const float r = tint(), g = tint(), b = tint();
  return {r, g, b};
}

}  // namespace

std::span<const NamedColour> named_colours() { return kColours; }

Colour colour_of(std::string_view name) {
  std::string known;
  for (const NamedColour& row : kColours) {
    if (row.name == name) return row.colour;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw InputError("[worlds] unknown colour '" + std::string(name) + "', expected one of: " + known);
}

Look draw_look(Random random) {
  Look look;
  look.background = static_cast<Background>(random.below(5));
  look.dark = random.chance(0.4);
  const float level = static_cast<float>(look.dark ? random.uniform(36, 74) : random.uniform(196, 232));
  look.first = muted(random, level);
  const float contrast =
      static_cast<float>(look.background == Background::checker ? random.uniform(6, 10) : random.uniform(10, 22));
  const float sign = look.dark ? 1.0f : -1.0f;
  look.second = look.first + Colour{contrast, contrast, contrast} * sign;
  const float ground = look.dark ? level + static_cast<float>(random.uniform(52, 70))
                                 : level - static_cast<float>(random.uniform(78, 104));
  look.ground = muted(random, ground);
  look.line = look.dark ? Colour{176, 176, 180} : Colour{74, 74, 80};
  look.detail =
      static_cast<float>(look.background == Background::checker ? random.between(3, 5) : random.uniform(0.4, 0.7));
  look.shading = static_cast<float>(random.uniform(0.3, 0.7));
  return look;
}

void paint_background(const Look& look, Frame& frame) {
  const float inverse_w = 1.0f / static_cast<float>(frame.width()),
              inverse_h = 1.0f / static_cast<float>(frame.height());
  constexpr float kPi = std::numbers::pi_v<float>;
  for (int y = 0; y < frame.height(); ++y) {
    const float v = (static_cast<float>(y) + 0.5f) * inverse_h;
    std::uint8_t* row = frame.row(y);
    for (int x = 0; x < frame.width(); ++x) {
      const float u = (static_cast<float>(x) + 0.5f) * inverse_w;
      float share = 0;
      switch (look.background) {
        case Background::plain:
          break;
        case Background::vertical:
          share = v;
          break;
        case Background::horizontal:
          share = u;
          break;
        case Background::checker: {
          const float across = u * static_cast<float>(frame.width()) * inverse_h;
          const float wave = std::sin(kPi * look.detail * across) * std::sin(kPi * look.detail * v);
          share = 0.5f + 0.5f * std::clamp(wave * 4.0f, -1.0f, 1.0f);
          break;
        }
        case Background::two_tone:
          share = std::clamp((v - look.detail) * 40.0f + 0.5f, 0.0f, 1.0f);
          break;
      }
      const Colour colour = mix(look.first, look.second, share);
      const auto byte = [](float value) { return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f)); };
      row[3 * x] = byte(colour.r), row[3 * x + 1] = byte(colour.g), row[3 * x + 2] = byte(colour.b);
    }
  }
}

std::vector<std::string> draw_colours(const Look& look, int count, Random random) {
  std::vector<std::string> names;
  for (const NamedColour& row : kColours) {
    if (look.dark ? row.on_dark : row.on_light) names.emplace_back(row.name);
  }
  ORRERY_ASSERT(count <= static_cast<int>(names.size()), "[worlds] ", count, " colours wanted of ", names.size());
  for (std::size_t i = 0; i + 1 < names.size(); ++i) std::swap(names[i], names[i + random.below(names.size() - i)]);
  names.resize(static_cast<std::size_t>(count));
  return names;
}

}  // namespace orrery::worlds
