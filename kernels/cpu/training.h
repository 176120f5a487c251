// What the files beside the model's ops register: the optimisers' updates, and what only the codec needs.
#pragma once

namespace orrery {

void add_optimizer_kernels();
void add_codec_kernels();

}  // namespace orrery
