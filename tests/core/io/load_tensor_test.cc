// Every conversion from a file's dtype to the engine's, and what is refused.
#include "core/io/load_tensor.h"

#include <cmath>
#include <cstring>

#include "core/base/random.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;

namespace {

template <class T>
struct Raw {
  std::vector<T> values;
  SafetensorsEntry entry(FileDType dtype) const {
    return {"w", dtype, {static_cast<std::int64_t>(values.size())}, std::as_bytes(std::span(values))};
  }
  std::vector<float> load(FileDType dtype, DType target = DType::f32) const {
    return load_tensor(entry(dtype), target).to_vector();
  }
};

}  // namespace

TEST_CASE("floating dtypes become f32 exactly", "[safetensors]") {
  CHECK(Raw<float>{{1.5f, -2, 1e-40f}}.load(FileDType::F32) == std::vector<float>{1.5f, -2, 1e-40f});
  CHECK(Raw<double>{{1.5, 0.1}}.load(FileDType::F64) == std::vector<float>{1.5f, 0.1f});
  // 1, -2, smallest subnormal, largest, 1/3 in half precision.
  CHECK(Raw<std::uint16_t>{{0x3C00, 0xC000, 0x0001, 0x7BFF, 0x3555}}.load(FileDType::F16) ==
        std::vector<float>{1, -2, 0x1p-24f, 65504, 0.333251953125f});
  CHECK(Raw<std::uint16_t>{{0x3F80, 0xC000, 0x0001}}.load(FileDType::BF16) == std::vector<float>{1, -2, 0x1p-133f});
  CHECK(Raw<std::uint8_t>{{0x38, 0xC0, 0x01, 0x7E, 0x08}}.load(FileDType::F8_E4M3) ==
        std::vector<float>{1, -2, 0x1p-9f, 448, 0x1p-6f});
  CHECK(Raw<std::uint8_t>{{0x3C, 0xC0, 0x01, 0x7B}}.load(FileDType::F8_E5M2) ==
        std::vector<float>{1, -2, 0x1p-16f, 57344});
  CHECK(Raw<std::uint8_t>{{127, 0, 254}}.load(FileDType::F8_E8M0) == std::vector<float>{1, 0x1p-127f, 0x1p127f});
}

TEST_CASE("f32 becomes bf16 rounded to nearest even", "[safetensors]") {
  CHECK(Raw<float>{{1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 1 + 0x1.8p-8f}}.load(FileDType::F32, DType::bf16) ==
        std::vector<float>{1, 1 + 0x1p-6f, 1 + 0x1p-7f});
  const Raw<std::uint16_t> raw{{0x3F80, 0xC001, 0x7F7F}};
  const Tensor tensor = load_tensor(raw.entry(FileDType::BF16), DType::bf16);
  CHECK(std::memcmp(tensor.raw(), raw.values.data(), 6) == 0);
}

TEST_CASE("integers become i32 and i8 where they fit", "[safetensors]") {
  CHECK(Raw<std::int64_t>{{-5, 70000}}.load(FileDType::I64, DType::i32) == std::vector<float>{-5, 70000});
  CHECK(Raw<std::int16_t>{{-5, 127}}.load(FileDType::I16, DType::i8) == std::vector<float>{-5, 127});
  CHECK(Raw<std::uint8_t>{{0, 1}}.load(FileDType::BOOL, DType::i8) == std::vector<float>{0, 1});
  CHECK(Raw<std::int8_t>{{-128, 127}}.load(FileDType::I8, DType::i8) == std::vector<float>{-128, 127});
  CHECK(Raw<std::uint32_t>{{7}}.load(FileDType::U32, DType::i32) == std::vector<float>{7});
  CHECK(Raw<std::uint16_t>{{65535}}.load(FileDType::U16, DType::i32) == std::vector<float>{65535});
  CHECK_THROWS_WITH((Raw<std::int64_t>{{1LL << 31}}.load(FileDType::I64, DType::i32)),
                    ContainsSubstring("at element 0 a number that does not fit into i32"));
  CHECK_THROWS_WITH((Raw<std::int16_t>{{0, 128}}.load(FileDType::I16, DType::i8)), ContainsSubstring("at element 1"));
  CHECK_THROWS_WITH((Raw<std::uint64_t>{{~0ULL}}.load(FileDType::U64, DType::i32)), ContainsSubstring("does not fit"));
}

TEST_CASE("numbers that are not finite and dtypes that do not go together are refused", "[safetensors]") {
  CHECK_THROWS_WITH((Raw<float>{{1, std::nanf("")}}.load(FileDType::F32)),
                    ContainsSubstring("tensor \"w\" F32 [2] holds nan at element 1"));
  CHECK_THROWS_WITH((Raw<float>{{HUGE_VALF}}.load(FileDType::F32, DType::bf16)), ContainsSubstring("holds inf"));
  CHECK_THROWS_WITH((Raw<double>{{1e300}}.load(FileDType::F64)), ContainsSubstring("holds inf"));
  CHECK_THROWS_WITH((Raw<std::uint16_t>{{0x7C00}}.load(FileDType::F16)), ContainsSubstring("holds inf"));
  CHECK_THROWS_WITH((Raw<std::uint8_t>{{0x7F}}.load(FileDType::F8_E4M3)), ContainsSubstring("holds nan"));
  CHECK_THROWS_WITH((Raw<std::uint8_t>{{0x7C}}.load(FileDType::F8_E5M2)), ContainsSubstring("holds inf"));
  CHECK_THROWS_WITH((Raw<std::uint8_t>{{255}}.load(FileDType::F8_E8M0)), ContainsSubstring("holds nan"));
  CHECK_THROWS_WITH((Raw<std::uint8_t>{{1}}.load(FileDType::U8, DType::f32)),
                    ContainsSubstring("is U8 [1] in the file, which is not read as f32"));
  CHECK_THROWS_WITH((Raw<float>{{1}}.load(FileDType::F32, DType::i8)), ContainsSubstring("not read as i8"));
  const Raw<float> one{{1}};
  SafetensorsEntry deep = one.entry(FileDType::F32);
  deep.shape.assign(7, 1);
  CHECK_THROWS_WITH(load_tensor(deep, DType::f32), ContainsSubstring("has 7 dimensions"));
}

TEST_CASE("tensors are written and read back the same", "[safetensors]") {
  const test::TemporaryFolder folder;
  Random random(5);
  const Tensor floats = Tensor::randn({3, 1, 5}, random), empty = Tensor::empty({0, 4}),
               halves = floats.to(DType::bf16);
  const Tensor scalar = Tensor::from({2.5f}, {}), ids = Tensor::from(std::vector<std::int32_t>{1, -2}, {2});
  write_safetensors(folder / "x.safetensors",
                    std::vector{safetensors_entry("floats", floats), safetensors_entry("empty", empty),
                                safetensors_entry("halves", halves), safetensors_entry("scalar", scalar),
                                safetensors_entry("ids", ids)});
  const Safetensors file = Safetensors::open(folder / "x.safetensors");
  CHECK(load_tensor(file.at("floats"), DType::f32).to_vector() == floats.to_vector());
  CHECK(load_tensor(file.at("floats"), DType::f32).shape() == Shape{3, 1, 5});
  CHECK(load_tensor(file.at("halves"), DType::bf16).to_vector() == halves.to_vector());
  CHECK(load_tensor(file.at("empty"), DType::f32).numel() == 0);
  CHECK(load_tensor(file.at("scalar"), DType::f32).item() == 2.5f);
  CHECK(load_tensor(file.at("ids"), DType::i32).to_vector() == std::vector<float>{1, -2});
}
