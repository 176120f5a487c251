// Kernel choice. Each op has an argument struct with `static constexpr const char* kOp` and `Device device() const`.
// Back ends add entries in order of preference; the first whose `supports` gives no reason against runs.
// ORRERY_KERNEL="matmul=reference,rms_norm=reference" (or "*=reference") forces entries by name, for tests and
// bisection.
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/api/types.h"

namespace orrery {

template <class Args>
struct KernelEntry {
  const char* name;
  /// nullptr when the kernel can run these arguments, else the reason why not.
  const char* (*supports)(const Args&);
  void (*run)(const Args&);
};

template <class Args>
std::vector<KernelEntry<Args>>& kernel_entries(Device device) {
  static std::vector<KernelEntry<Args>> tables[kDeviceCount];
  return tables[static_cast<int>(device)];
}

template <class Args>
void add_kernel(Device device, const char* name, void (*run)(const Args&),
                const char* (*supports)(const Args&) = nullptr) {
  kernel_entries<Args>(device).push_back({name, supports, run});
}

/// The name forced for `op` by ORRERY_KERNEL; empty when none is. Read at each call: tests switch it.
inline std::string_view forced_kernel(std::string_view op) {
  const char* text = std::getenv("ORRERY_KERNEL");
  if (!text) return {};
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const auto equals = item.find('=');
    if (equals != std::string_view::npos) {
      const std::string_view key = item.substr(0, equals);
      if (key == op || key == "*") return item.substr(equals + 1);
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return {};
}

/// The entry that would run, or nullptr; `reasons` then lists why each one refused.
template <class Args>
const KernelEntry<Args>* find_kernel(const Args& args, std::string* reasons = nullptr) {
  const std::string_view forced = forced_kernel(Args::kOp);
  const KernelEntry<Args>* fallback = nullptr;
  for (const auto& entry : kernel_entries<Args>(args.device())) {
    const char* reason = entry.supports ? entry.supports(args) : nullptr;
    if (!reason && (forced.empty() || forced == entry.name)) return &entry;
    if (!reason && !fallback) fallback = &entry;
    if (reasons) *reasons += std::string("; ") + entry.name + ": " + (reason ? reason : "not the forced one");
  }
  return fallback;  // a forced name that this op does not have changes nothing
}

template <class Args>
void run_kernel(const Args& args) {
  if (const auto* entry = find_kernel(args)) return entry->run(args);
  std::string reasons;
  find_kernel(args, &reasons);
  throw std::runtime_error(std::string("[") + Args::kOp + "] no kernel on " + name_of(args.device()) + reasons);
}

}  // namespace orrery
