// Ground truth as JSON (docs/annotations.md says every field).
#pragma once

#include "core/io/json.h"
#include "physics_eval/worlds/annotations.h"

namespace orrery::worlds {

/// The annotations object, fields in a fixed order; `schema` 1.
Json to_json(const Annotations& annotations);
/// The inverse; throws InputError, naming the field, for what is not such an object. `source` opens the message.
Annotations annotations_from_json(const Json& json, const std::string& source);

}  // namespace orrery::worlds
