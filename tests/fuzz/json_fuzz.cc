// Any bytes as a JSON configuration: an InputError, or a value that is the same after it was written and read again,
// and whose fields can be asked for by any type.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/io/fields.h"
#include "core/io/json.h"
#include "tests/fuzz/fuzz.h"

namespace {

template <class Get>
void ask(const Get& get) {
  try {
    get();
  } catch (const orrery::InputError&) {
  }
}

void ask_everything(const orrery::Json& object) {
  const orrery::Fields fields(object, "input");
  for (const orrery::JsonMember& member : object.as_object()) {
    const std::string_view name = member.key;
    ask([&] { fields.integer(name, {-10, 10}); });
    ask([&] { fields.number_or(name, 0.5); });
    ask([&] { fields.boolean(name); });
    ask([&] { fields.choice(name, {"cpu", "cuda"}); });
    ask([&] { fields.integers(name); });
    ask([&] { fields.texts(name); });
    ask([&] { fields.object(name).refuse_unknown(); });
    ask([&] { fields.objects(name); });
  }
  ask([&] { fields.refuse_unknown(); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const orrery::Json value = orrery::Json::parse(text, "input");
    FUZZ_EXPECT(orrery::Json::parse(value.dump(), "input") == value);
    FUZZ_EXPECT(orrery::Json::parse(value.dump(2), "input") == value);
    if (value.is_object()) ask_everything(value);
  } catch (const orrery::InputError&) {
  }
  return 0;
}
