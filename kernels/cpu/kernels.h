// What each file of this folder registers.
#pragma once

namespace orrery {

void add_norm_kernels();

}  // namespace orrery
