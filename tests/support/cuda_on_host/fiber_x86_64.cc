// A fiber is its stack pointer; the registers that calls preserve (System V ABI) lie on top of its stack.
#include <cstdint>
#include <cstring>

#include "tests/support/cuda_on_host/fiber.h"

extern "C" void orrery_switch_fiber(void** current, void* next);

asm(R"(
.text
.p2align 4
.type orrery_switch_fiber,@function
orrery_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size orrery_switch_fiber,.-orrery_switch_fiber
)");

namespace orrery::on_host {

FiberContext make_fiber(unsigned char* stack, std::size_t bytes, void (*entry)()) {
  // `ret` into entry leaves the stack pointer 8 below a multiple of 16, as after a call.
  auto top = reinterpret_cast<std::uintptr_t>(stack + bytes) / 16 * 16;
  top -= 16;
  auto* words = reinterpret_cast<std::uintptr_t*>(top);
  words[0] = reinterpret_cast<std::uintptr_t>(entry);
  std::memset(words - 6, 0, 6 * sizeof(*words));
  return words - 6;
}

void switch_fiber(FiberContext* current, FiberContext next) { orrery_switch_fiber(current, next); }

}  // namespace orrery::on_host
