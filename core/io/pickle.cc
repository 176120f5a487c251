#include "core/io/pickle.h"

#include <bit>
#include <cstring>
#include <unordered_map>

#include "core/base/error.h"

namespace orrery {

namespace {

using Size = std::size_t;
using Kind = PickleValue::Kind;

// The stack machine of Python's Lib/pickle.py. Every instruction makes at most one value, so what it holds is bounded
// by the length of the file.
class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  Pickle run() {
    while (!step(number<std::uint8_t>())) {
    }
    pickle_.root = pop();
    pickle_.size = at_;
    return std::move(pickle_);
  }

 private:
  void check(bool right, const char* what) const {
    ORRERY_CHECK(right, source_, ": broken pickle at byte ", at_, ": ", what);
  }

  std::string_view take(std::uint64_t count) {
    check(count <= bytes_.size() - at_, "it ends too early");
    const char* begin = reinterpret_cast<const char*>(bytes_.data()) + at_;
    at_ += static_cast<Size>(count);
    return {begin, static_cast<Size>(count)};
  }

  template <class T>
  T number() {
    T out;
    std::memcpy(&out, take(sizeof(T)).data(), sizeof(T));
    return out;
  }

  std::string line() {
    std::string out;
    for (char c = number<char>(); c != '\n'; c = number<char>()) out += c;
    return out;
  }

  PickleValue& value(int index) { return pickle_.values[static_cast<Size>(index)]; }

  void push(PickleValue made) {
    stack_.push_back(static_cast<int>(pickle_.values.size()));
    pickle_.values.push_back(std::move(made));
  }
  void push_items(Kind kind, std::vector<int> items) { push({kind, 0, 0, {}, std::move(items)}); }
  void push_text(Kind kind, std::string_view text) { push({kind, 0, 0, std::string(text), {}}); }
  void push_integer(std::int64_t integer) { push({Kind::integer, integer, 0, {}, {}}); }

  Size floor() const { return marks_.empty() ? 0 : marks_.back(); }
  int pop() {
    check(stack_.size() > floor(), "it takes from an empty stack");
    const int out = stack_.back();
    stack_.pop_back();
    return out;
  }
  int top() const {
    check(stack_.size() > floor(), "it reads an empty stack");
    return stack_.back();
  }
  std::vector<int> pop_to_mark() {
    check(!marks_.empty(), "a mark is missing");
    std::vector<int> out(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return out;
  }
  std::vector<int> pop_many(int count) {
    std::vector<int> out(static_cast<Size>(count));
    for (Size i = out.size(); i-- > 0;) out[i] = pop();
    return out;
  }

  // Two's complement, little-endian.
  void push_long(Size length) {
    check(length <= 8, "a whole number above 64 bits");
    const std::string_view digits = take(length);
    std::uint64_t out = !digits.empty() && (digits.back() & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (Size i = length; i-- > 0;) out = out << 8 | static_cast<std::uint8_t>(digits[i]);
    push_integer(static_cast<std::int64_t>(out));
  }

  void extend(Kind kind, int target, const std::vector<int>& items) {
    check(value(target).kind == kind && (kind == Kind::list || items.size() % 2 == 0),
          "items for something that holds none");
    value(target).items.insert(value(target).items.end(), items.begin(), items.end());
  }

  void call() {
    const int arguments = pop(), callee = pop();
    if (value(callee).kind == Kind::global && value(callee).text == "collections.OrderedDict") {
      push_items(Kind::dict, {});
    } else {
      push_items(Kind::object, {callee, arguments});
    }
  }

  // A dict keeps its items; what Python would hang on it besides (a state_dict's versions) is of no use.
  void build() {
    const int state = pop(), target = top();
    check(value(target).kind == Kind::object || value(target).kind == Kind::dict, "a state for a plain value");
    if (value(target).kind == Kind::object) value(target).items.push_back(state);
  }

  void stack_global() {
    const int name = pop(), module = pop();
    check(value(name).kind == Kind::text && value(module).kind == Kind::text, "a class without a name");
    push_text(Kind::global, value(module).text + "." + value(name).text);
  }

  void remember(std::uint32_t slot) { memo_[slot] = top(); }
  void recall(std::uint32_t slot) {
    const auto found = memo_.find(slot);
    check(found != memo_.end(), "it recalls what it never kept");
    stack_.push_back(found->second);
  }

  bool constant(std::uint8_t code) {
    switch (code) {
      case 'N':
        return push({}), true;
      case 0x88:
        return push({Kind::boolean, 1, 0, {}, {}}), true;
      case 0x89:
        return push({Kind::boolean, 0, 0, {}, {}}), true;
      case 'J':
        return push_integer(number<std::int32_t>()), true;
      case 'K':
        return push_integer(number<std::uint8_t>()), true;
      case 'M':
        return push_integer(number<std::uint16_t>()), true;
      case 0x8a:
        return push_long(number<std::uint8_t>()), true;
      case 'G': {
        std::uint64_t bits = 0;  // the only big-endian number
        for (const char c : take(8)) bits = bits << 8 | static_cast<std::uint8_t>(c);
        return push({Kind::real, 0, std::bit_cast<double>(bits), {}, {}}), true;
      }
      case 'X':
      case 'T':
      case 'B':
        return push_text(Kind::text, take(number<std::uint32_t>())), true;
      case 0x8c:
      case 'U':
      case 'C':
        return push_text(Kind::text, take(number<std::uint8_t>())), true;
      default:
        return false;
    }
  }

  bool container(std::uint8_t code) {
    switch (code) {
      case ']':
        return push_items(Kind::list, {}), true;
      case '}':
        return push_items(Kind::dict, {}), true;
      case ')':
        return push_items(Kind::tuple, {}), true;
      case 't':
        return push_items(Kind::tuple, pop_to_mark()), true;
      case 0x85:
      case 0x86:
      case 0x87:
        return push_items(Kind::tuple, pop_many(code - 0x84)), true;
      case 'a': {
        const int item = pop();
        return extend(Kind::list, top(), {item}), true;
      }
      case 'e': {
        const std::vector<int> items = pop_to_mark();
        return extend(Kind::list, top(), items), true;
      }
      case 's': {
        const std::vector<int> items = pop_many(2);
        return extend(Kind::dict, top(), items), true;
      }
      case 'u': {
        const std::vector<int> items = pop_to_mark();
        return extend(Kind::dict, top(), items), true;
      }
      default:
        return false;
    }
  }

  // True at the end.
  bool step(std::uint8_t code) {
    if (constant(code) || container(code)) return false;
    switch (code) {
      case '.':
        return true;
      case 0x80: {
        const int protocol = number<std::uint8_t>();
        check(protocol >= 2 && protocol <= 5, "a protocol other than 2 to 5");
        return false;
      }
      case 0x95:
        return take(8), false;  // a frame's length: only says where to read ahead
      case '(':
        return marks_.push_back(stack_.size()), false;
      case '0':
        return pop(), false;
      case '1':
        return pop_to_mark(), false;
      case 'c': {
        const std::string module = line();
        return push_text(Kind::global, module + "." + line()), false;
      }
      case 0x93:
        return stack_global(), false;
      case 'R':
      case 0x81:
        return call(), false;
      case 'b':
        return build(), false;
      case 'Q':
        return push_items(Kind::reference, {pop()}), false;
      case 'q':
        return remember(number<std::uint8_t>()), false;
      case 'r':
        return remember(number<std::uint32_t>()), false;
      case 0x94:
        return remember(static_cast<std::uint32_t>(memo_.size())), false;
      case 'h':
        return recall(number<std::uint8_t>()), false;
      case 'j':
        return recall(number<std::uint32_t>()), false;
      default:
        check(false, "an instruction that files of tensors do not have");
        return true;
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& source_;
  Size at_ = 0;
  Pickle pickle_;
  std::vector<int> stack_;
  std::vector<Size> marks_;
  std::unordered_map<std::uint32_t, int> memo_;
};

}  // namespace

Pickle parse_pickle(std::span<const std::byte> bytes, const std::string& source) {
  return Machine(bytes, source).run();
}

}  // namespace orrery
