// One tensor, three spellings: transformers' state_dict (ours), the released checkpoints, and the mixture that
// transformers' save_pretrained writes. Experts are stacked in the first, one tensor each in the others.
#pragma once

#include <string>

namespace orrery {

/// The name in transformers' state_dict of a tensor in any of the three spellings; unknown names as they are.
/// Experts' own tensors become "….experts.E.{gate_proj,up_proj,down_proj}.weight".
std::string canonical_name(const std::string& name);

/// The released checkpoints' spelling of a canonical name; unknown names as they are.
std::string released_name(const std::string& name);

}  // namespace orrery
