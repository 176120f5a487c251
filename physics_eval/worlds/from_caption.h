// From a person's words to a world: the scene that its words fit best, with the colours, sizes, count and direction
// named.
#pragma once

#include <string_view>

#include "physics_eval/worlds/world.h"

namespace orrery::worlds {

/// Sets scene, colours and seed of `spec` so that the clip is what `text` says; the seed is searched from spec.seed on,
/// the rest of `spec` stays. Throws InputError when no word fits any scene, or when no seed gives what is asked for.
void set_from_caption(WorldSpec& spec, std::string_view text);

}  // namespace orrery::worlds
