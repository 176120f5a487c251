// What each file of this folder registers, and the slots of scratch memory they use.
#pragma once

namespace orrery::gpu {

/// Slots of gpu::scratch: two kernels that run one after the other may share one, two values alive together may not.
enum ScratchSlot { kScratchReduce, kScratchCast, kScratchPartial, kScratchMask, kScratchBlas, kScratchSlots };

/// Every kernel of this back end, for Device::cuda.
void add_all_kernels();

void add_copy_kernels();
void add_elementwise_kernels();
void add_reduce_kernels();

}  // namespace orrery::gpu
