// Fibers: stacks of their own that are switched by hand. fiber_x86_64.cc is fast; fiber_portable.cc works anywhere.
#pragma once

#include <cstddef>

namespace orrery::on_host {

using FiberContext = void*;

/// A fiber that will run `entry`, which must never return, on `stack`.
FiberContext make_fiber(unsigned char* stack, std::size_t bytes, void (*entry)());

/// Goes on with `next`; whoever later switches to *current comes back here.
void switch_fiber(FiberContext* current, FiberContext next);

}  // namespace orrery::on_host
