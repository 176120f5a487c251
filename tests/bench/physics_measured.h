// What the laws measure against what the worlds know: gravity, restitution, periods, momentum.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "physics_eval/laws/laws.h"
#include "physics_eval/worlds/world.h"

namespace orrery {

/// Relative errors by quantity.
using MeasuredErrors = std::map<std::string, std::vector<double>>;

/// Adds the relative errors of what `score` measured in the lawful clip of `spec`, tracked in pictures `height` pixels
/// high. A momentum's error is against the sum of the two bodies' momenta, since their total can be 0.
void add_measured_errors(const worlds::WorldSpec& spec, int frames, int height, const PhysicsScore& score,
                         MeasuredErrors& errors);

/// A line a quantity: clips, median and 90% quantile of the errors.
void print_measured_errors(const MeasuredErrors& errors);

}  // namespace orrery
