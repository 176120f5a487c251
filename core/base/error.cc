#include "core/base/error.h"

namespace orrery::detail {

void throw_check(const std::string& message, Blame blame) {
  if (blame == Blame::input) throw InputError(message);
  throw Error(message, blame);
}

}  // namespace orrery::detail
