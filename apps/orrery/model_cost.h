// orrery info --config FILE --context N: what a model of this configuration costs.
#pragma once

#include <cstdint>
#include <string>

namespace orrery::cli {

/// Prints parameters, cache bytes and operations a token by kind of layer, and against dense attention and V3.2.
void print_model_cost(const std::string& config_path, std::int64_t context, bool json);

}  // namespace orrery::cli
