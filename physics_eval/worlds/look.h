// What a clip looks like apart from its physics: named body colours, background families, ground and walls.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "physics_eval/worlds/draw.h"

namespace orrery::worlds {

/// A body's colour as captions name it.
struct NamedColour {
  std::string_view name;
  Colour colour;
  /// Whether it stands out from light and from dark backgrounds.
  bool on_light, on_dark;
};

/// All body colours; each name is one word.
std::span<const NamedColour> named_colours();
/// The colour of that name; throws InputError naming the known ones.
Colour colour_of(std::string_view name);

enum class Background { plain, vertical, horizontal, checker, two_tone };

/// Drawn once a clip.
struct Look {
  Background background = Background::plain;
  bool dark = false;
  Colour first, second;
  /// Ground and walls.
  Colour ground;
  /// Rods, springs, pivots.
  Colour line;
  /// Frequency of the checker (cells a picture height), or where two tones meet (share of height).
  float detail = 4;
  /// How strongly rims are darkened.
  float shading = 0.5f;
};

/// A look drawn from `random`: muted backgrounds, light or dark, that every eligible body colour stands out from.
Look draw_look(Random random);
/// Fills the whole frame with the look's background; the same picture at every resolution.
void paint_background(const Look& look, Frame& frame);
/// `count` different colour names that stand out from the look's background and from each other.
std::vector<std::string> draw_colours(const Look& look, int count, Random random);

}  // namespace orrery::worlds
