#include "core/io/torch_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/io/files.h"
#include "core/io/pickle.h"
#include "core/io/zip.h"

namespace orrery {

namespace {

using Size = std::size_t;
using Kind = PickleValue::Kind;

constexpr int kDeepest = 64;
// Visits to values, so that one that holds another many times over many levels cannot keep the walk busy for ever.
constexpr std::int64_t kMostVisits = 4'000'000;

std::optional<FileDType> storage_dtype(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, FileDType>, 10> kNames{
      {{"torch.DoubleStorage", FileDType::F64},
       {"torch.FloatStorage", FileDType::F32},
       {"torch.HalfStorage", FileDType::F16},
       {"torch.BFloat16Storage", FileDType::BF16},
       {"torch.LongStorage", FileDType::I64},
       {"torch.IntStorage", FileDType::I32},
       {"torch.ShortStorage", FileDType::I16},
       {"torch.CharStorage", FileDType::I8},
       {"torch.ByteStorage", FileDType::U8},
       {"torch.BoolStorage", FileDType::BOOL}}};
  for (const auto& [known, dtype] : kNames) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

using Storages = std::map<std::string, std::span<const std::byte>>;

// Walks a pickle and lists its tensors.
class Collector {
 public:
  Collector(const Pickle& pickle, const Storages& storages, const std::string& source)
      : pickle_(pickle), storages_(storages), source_(source) {}

  TorchContents run() {
    walk(pickle_.root, "", 0);
    return std::move(out_);
  }

 private:
  const PickleValue& at(int index) const { return pickle_.at(index); }
  const PickleValue& item(const PickleValue& of, Size index) const { return at(of.items[index]); }

  static std::string joined(const std::string& name, const std::string& part) {
    return name.empty() ? part : name + "." + part;
  }

  std::string_view callee(const PickleValue& value) const {
    const bool named = value.kind == Kind::object && item(value, 0).kind == Kind::global;
    return named ? std::string_view(item(value, 0).text) : std::string_view();
  }

  void walk(int index, const std::string& name, int depth) {
    ORRERY_CHECK(depth <= kDeepest, source_, ": ", name, " is nested deeper than ", kDeepest, " levels");
    ORRERY_CHECK(++visits_ <= kMostVisits, source_, ": more than ", kMostVisits, " values");
    const PickleValue& value = at(index);
    switch (value.kind) {
      case Kind::dict:
        for (Size i = 0; i + 1 < value.items.size(); i += 2) {
          const PickleValue& key = item(value, i);
          const bool usable = key.kind == Kind::text || key.kind == Kind::integer;
          if (usable)
            walk(value.items[i + 1], joined(name, key.kind == Kind::text ? key.text : std::to_string(key.integer)),
                 depth + 1);
        }
        break;
      case Kind::list:
      case Kind::tuple:
        for (Size i = 0; i < value.items.size(); ++i) walk(value.items[i], joined(name, std::to_string(i)), depth + 1);
        break;
      case Kind::object:
        walk_object(value, name, depth);
        break;
      default:
        break;
    }
  }

  void walk_object(const PickleValue& value, const std::string& name, int depth) {
    const std::string_view called = callee(value);
    if (called == "torch._utils._rebuild_tensor_v2" || called == "torch._utils._rebuild_tensor") {
      add(item(value, 1), name);
    } else if (called == "torch._utils._rebuild_parameter" || called == "torch.jit._pickle.restore_type_tag") {
      const PickleValue& arguments = item(value, 1);
      if (arguments.kind == Kind::tuple && !arguments.items.empty()) walk(arguments.items[0], name, depth + 1);
    } else if (value.items.size() > 2) {
      walk(value.items[2], name, depth + 1);  // a module: its attributes
    }
  }

  std::vector<std::int64_t> whole_numbers(const PickleValue& value, const std::string& name) const {
    ORRERY_CHECK(value.kind == Kind::tuple, source_, ": ", name, " has a shape that is no tuple");
    std::vector<std::int64_t> out;
    for (const int i : value.items) {
      ORRERY_CHECK(at(i).kind == Kind::integer && at(i).integer >= 0, source_, ": ", name,
                   " has a size or stride that is no whole number");
      out.push_back(at(i).integer);
    }
    return out;
  }

  // ('storage', torch.FloatStorage, key, device, numbers[, view])
  std::pair<FileDType, std::span<const std::byte>> storage(const PickleValue& reference,
                                                           const std::string& name) const {
    ORRERY_CHECK(reference.kind == Kind::reference && item(reference, 0).kind == Kind::tuple, source_, ": ", name,
                 " has no storage");
    const PickleValue& what = item(reference, 0);
    ORRERY_CHECK(what.items.size() >= 5 && item(what, 1).kind == Kind::global && item(what, 2).kind == Kind::text,
                 source_, ": ", name, " has a storage that is not described as PyTorch does");
    ORRERY_CHECK(what.items.size() == 5 || item(what, 5).kind == Kind::none, source_, ": ", name,
                 " is a view of another storage, which is not read: save it again with a newer PyTorch");
    const auto dtype = storage_dtype(item(what, 1).text);
    ORRERY_CHECK(dtype, source_, ": ", name, " is kept as ", item(what, 1).text, ", which is not read");
    const auto found = storages_.find(item(what, 2).text);
    ORRERY_CHECK(found != storages_.end(), source_, ": the values of ", name, " (storage ", item(what, 2).text,
                 ") are missing");
    return {*dtype, found->second};
  }

  // (storage, offset, sizes, strides, …)
  void add(const PickleValue& arguments, const std::string& name) {
    ORRERY_CHECK(arguments.kind == Kind::tuple && arguments.items.size() >= 4 &&
                     item(arguments, 1).kind == Kind::integer && item(arguments, 1).integer >= 0,
                 source_, ": ", name, " is not described as PyTorch does");
    const auto [dtype, bytes] = storage(item(arguments, 0), name);
    SafetensorsEntry entry;
    entry.name = name, entry.dtype = dtype;
    entry.shape = whole_numbers(item(arguments, 2), name);
    const std::vector<std::int64_t> strides = whole_numbers(item(arguments, 3), name);
    ORRERY_CHECK(strides.size() == entry.shape.size(), source_, ": ", name, " has ", entry.shape.size(), " sizes and ",
                 strides.size(), " strides");
    place(entry, item(arguments, 1).integer, strides, bytes);
    out_.entries.push_back(std::move(entry));
  }

  void place(SafetensorsEntry& entry, std::int64_t offset, const std::vector<std::int64_t>& strides,
             std::span<const std::byte> bytes) {
    if (std::count(entry.shape.begin(), entry.shape.end(), 0) > 0) return;
    const std::int64_t each = size_of(entry.dtype), room = static_cast<std::int64_t>(bytes.size()) / each;
    std::int64_t count = 1, last = offset;
    bool fits = offset < room;
    for (Size d = 0; d < strides.size() && fits; ++d) {
      const std::int64_t size = entry.shape[d];
      count = count <= room / size ? count * size : room + 1;
      fits = count <= room && (size <= 1 || strides[d] <= (room - 1 - last) / (size - 1));
      if (fits && size > 1) last += (size - 1) * strides[d];
    }
    ORRERY_CHECK(fits, source_, ": ", entry.name, " does not lie in its storage of ", room, " numbers");
    std::int64_t step = 1;
    bool contiguous = true;
    for (Size d = strides.size(); d-- > 0;) {
      contiguous &= entry.shape[d] <= 1 || strides[d] == step;
      step *= entry.shape[d];
    }
    if (contiguous) {
      entry.data = bytes.subspan(static_cast<Size>(offset * each), static_cast<Size>(count * each));
      return;
    }
    out_.copies.push_back(std::make_unique<std::vector<std::byte>>());
    std::vector<std::byte>& copy = *out_.copies.back();
    copy.resize(static_cast<Size>(count * each));
    std::vector<std::int64_t> index(strides.size(), 0);
    for (std::int64_t i = 0, from = offset; i < count; ++i) {
      std::memcpy(&copy[static_cast<Size>(i * each)], &bytes[static_cast<Size>(from * each)], static_cast<Size>(each));
      for (Size d = strides.size(); d-- > 0;) {
        from += strides[d];
        if (++index[d] < entry.shape[d]) break;
        from -= index[d] * strides[d];
        index[d] = 0;
      }
    }
    entry.data = copy;
  }

  const Pickle& pickle_;
  const Storages& storages_;
  const std::string& source_;
  TorchContents out_;
  std::int64_t visits_ = 0;
};

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// ARCHIVE/data.pkl, ARCHIVE/data/KEY, ARCHIVE/byteorder.
TorchContents parse_archive(std::span<const std::byte> bytes, const std::string& source) {
  const std::vector<ZipMember> members = list_zip(bytes, source);
  const auto pickled = std::find_if(members.begin(), members.end(), [](const ZipMember& member) {
    return ends_with(member.name, "/data.pkl") && std::count(member.name.begin(), member.name.end(), '/') == 1;
  });
  ORRERY_CHECK(pickled != members.end(), source, ": a zip without PyTorch's data.pkl");
  const std::string folder = pickled->name.substr(0, pickled->name.find('/') + 1);
  Storages storages;
  for (const ZipMember& member : members) {
    const bool values = member.name.rfind(folder + "data/", 0) == 0;
    ORRERY_CHECK(member.stored || (!values && &member != &*pickled), source, ": ", member.name,
                 " is compressed, expected it as PyTorch stores it");
    if (values) storages[member.name.substr(folder.size() + 5)] = member.data;
    ORRERY_CHECK(member.name != folder + "byteorder" || member.data.size() != 3, source,
                 ": its numbers are big-endian");
  }
  const Pickle pickle = parse_pickle(pickled->data, source);
  return Collector(pickle, storages, source).run();
}

// Before 1.6: pickles of a magic number, a protocol, the machine, the object and the storages' keys, then each
// storage as an eight-byte count and its numbers. A storage's dtype stands where the object names it.
constexpr std::array<std::uint8_t, 15> kOldMagic{0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                                 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

std::map<std::string, std::int64_t> old_storage_sizes(const Pickle& pickle) {
  std::map<std::string, std::int64_t> out;
  for (const PickleValue& value : pickle.values) {
    if (value.kind != Kind::reference || pickle.at(value.items[0]).kind != Kind::tuple) continue;
    const PickleValue& what = pickle.at(value.items[0]);
    if (what.items.size() < 3 || pickle.at(what.items[1]).kind != Kind::global) continue;
    const auto dtype = storage_dtype(pickle.at(what.items[1]).text);
    if (dtype && pickle.at(what.items[2]).kind == Kind::text) out[pickle.at(what.items[2]).text] = size_of(*dtype);
  }
  return out;
}

TorchContents parse_old(std::span<const std::byte> bytes, const std::string& source) {
  std::span<const std::byte> rest = bytes.subspan(kOldMagic.size());
  const auto next = [&rest, &source] {
    Pickle out = parse_pickle(rest, source);
    rest = rest.subspan(out.size);
    return out;
  };
  next(), next();  // protocol, machine
  const Pickle object = next(), keys = next();
  const std::map<std::string, std::int64_t> sizes = old_storage_sizes(object);
  Storages storages;
  for (const int index : keys.at(keys.root).items) {
    const std::string& key = keys.at(index).text;
    const auto each = sizes.find(key);
    ORRERY_CHECK(each != sizes.end() && rest.size() >= 8, source, ": storage ", key, " is of no tensor, or is missing");
    std::int64_t count = 0;
    std::memcpy(&count, rest.data(), 8);
    rest = rest.subspan(8);
    ORRERY_CHECK(count >= 0 && count <= static_cast<std::int64_t>(rest.size()) / each->second, source,
                 ": the file ends in storage ", key);
    storages[key] = rest.first(static_cast<Size>(count * each->second));
    rest = rest.subspan(static_cast<Size>(count * each->second));
  }
  return Collector(object, storages, source).run();
}

// Keeps the mapping that the entries point into.
struct Kept {
  explicit Kept(const std::filesystem::path& path) : file(path), contents(parse_torch(file.bytes(), path.string())) {}
  MappedFile file;
  TorchContents contents;
};

}  // namespace

TorchContents parse_torch(std::span<const std::byte> bytes, const std::string& source) {
  const bool old =
      bytes.size() >= kOldMagic.size() && std::memcmp(bytes.data(), kOldMagic.data(), kOldMagic.size()) == 0;
  return old ? parse_old(bytes, source) : parse_archive(bytes, source);
}

TorchFile TorchFile::open(const std::filesystem::path& path) {
  const auto kept = std::make_shared<Kept>(path);
  TorchFile out;
  out.contents_ = std::shared_ptr<const TorchContents>(kept, &kept->contents);
  return out;
}

}  // namespace orrery
