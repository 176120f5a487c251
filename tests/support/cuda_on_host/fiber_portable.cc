// Fibers with the C library's contexts.
#include <ucontext.h>

#include <cstdlib>
#include <map>
#include <memory>

#include "tests/support/cuda_on_host/fiber.h"

namespace orrery::on_host {

namespace {

// One context a stack, made once; the scheduler's own has no stack.
ucontext_t& context_of(void* stack) {
  static auto* contexts = new std::map<void*, std::unique_ptr<ucontext_t>>;
  auto& slot = (*contexts)[stack];
  if (!slot) slot = std::make_unique<ucontext_t>();
  return *slot;
}

}  // namespace

FiberContext make_fiber(unsigned char* stack, std::size_t bytes, void (*entry)()) {
  ucontext_t& context = context_of(stack);
  if (getcontext(&context) != 0) std::abort();
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = bytes;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
  return &context;
}

void switch_fiber(FiberContext* current, FiberContext next) {
  if (!*current) *current = &context_of(nullptr);
  if (swapcontext(static_cast<ucontext_t*>(*current), static_cast<const ucontext_t*>(next)) != 0) std::abort();
}

}  // namespace orrery::on_host
