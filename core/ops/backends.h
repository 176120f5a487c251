// Makes sure that the back ends of this build have registered their kernels.
#pragma once

#include "kernels/api/registry.h"

namespace orrery::ops {

void ensure_backends();

/// Runs the preferred kernel for `args`; a refusal by all becomes an orrery::Error with the reasons.
template <class Args>
void run(const Args& args) {
  ensure_backends();
  run_kernel(args);
}

}  // namespace orrery::ops
