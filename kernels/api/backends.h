// Back ends announce themselves here; core/ops/backends.cc is the one file that calls these.
#pragma once

namespace orrery {

void register_cpu_kernels();
void register_cuda_kernels();

}  // namespace orrery
