// Python's pickles as plain values: the part of the format that torch.save and torch.jit.save write (protocols 2 to 5).
// Nothing in a pickle is run: classes and functions stay names, calls stay a name and its arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace orrery {

/// One value; others are indices into Pickle::values.
struct PickleValue {
  enum class Kind : std::uint8_t {
    none,
    boolean,    ///< integer: 0 or 1
    integer,    ///< integer
    real,       ///< real
    text,       ///< text: UTF-8, or bytes
    tuple,      ///< items
    list,       ///< items
    dict,       ///< items: key, value, key, value, …; of an OrderedDict too
    global,     ///< text: "module.name"
    object,     ///< a call or an instance: items: the global, its arguments and, where it was given one, its state
    reference,  ///< items: what names something kept outside of the pickle
  };
  Kind kind = Kind::none;
  std::int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<int> items;
};

struct Pickle {
  std::vector<PickleValue> values;
  int root = 0;
  /// Bytes read, the final STOP included.
  std::size_t size = 0;

  const PickleValue& at(int index) const { return values[static_cast<std::size_t>(index)]; }
};

/// The pickle at the beginning of `bytes`. Throws InputError, starting with `source`, for a broken one, and for what
/// files of tensors do not hold (instructions of other protocols, whole numbers above 64 bits).
Pickle parse_pickle(std::span<const std::byte> bytes, const std::string& source);

}  // namespace orrery
