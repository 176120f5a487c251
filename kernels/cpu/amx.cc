#include "kernels/cpu/amx.h"

#include <cstdlib>
#include <cstring>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ORRERY_AMX __attribute__((target("amx-tile,amx-bf16")))
// The compiler's tile macros cast as C does.
#pragma GCC diagnostic ignored "-Wold-style-cast"

namespace orrery::amx {

namespace {

// The memory format of LDTILECFG.
struct alignas(64) Shape {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes_a_row[16] = {};
  std::uint8_t rows[16] = {};
};
static_assert(sizeof(Shape) == 64);

constexpr Shape full_tiles() {
  Shape shape;
  for (int i = 0; i < 8; ++i) shape.bytes_a_row[i] = 64, shape.rows[i] = 16;
  return shape;
}
// A constant in memory: GCC believes that loading a shape reads eight bytes of it and drops other writes.
constexpr Shape kFullTiles = full_tiles();

bool find_out() {
  if (const char* limit = std::getenv("ORRERY_SIMD"); limit && *limit) return false;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  if ((d & kBf16) == 0 || (d & kTile) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// (The target attribute has no effect on constructors.)
ORRERY_AMX void set_shape(const Shape* shape, void* before) {
  _tile_storeconfig(before);
  _tile_loadconfig(shape);
}
ORRERY_AMX void restore_shape(const unsigned char* before) {
  if (before[0] == 0)
    _tile_release();
  else
    _tile_loadconfig(before);
}

// Tiles 0 to 3: sums; 4 and 5: rows of A; 6 and 7: columns of B.
template <bool kTwoRows, bool kTwoColumns>
ORRERY_AMX void block(std::int64_t depth, const BFloat16* a, std::int64_t a_stride, const std::uint32_t* b,
                      std::int64_t b_stride, float* c, std::int64_t c_stride, bool add) {
  const auto a_bytes = static_cast<std::size_t>(a_stride) * 2, b_bytes = static_cast<std::size_t>(b_stride) * 4,
             c_bytes = static_cast<std::size_t>(c_stride) * 4;
  float* below = c + 16 * c_stride;
  if (add) {
    _tile_loadd(0, c, c_bytes);
    if constexpr (kTwoColumns) _tile_loadd(1, c + 16, c_bytes);
    if constexpr (kTwoRows) _tile_loadd(2, below, c_bytes);
    if constexpr (kTwoRows && kTwoColumns) _tile_loadd(3, below + 16, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (std::int64_t k = 0; k < depth; k += 32) {
    _tile_loadd(4, a + k, a_bytes);
    _tile_loadd(6, b + k / 2 * b_stride, b_bytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kTwoColumns) {
      _tile_loadd(7, b + k / 2 * b_stride + 16, b_bytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kTwoRows) {
      _tile_loadd(5, a + 16 * a_stride + k, a_bytes);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kTwoColumns) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, c_bytes);
  if constexpr (kTwoColumns) _tile_stored(1, c + 16, c_bytes);
  if constexpr (kTwoRows) _tile_stored(2, below, c_bytes);
  if constexpr (kTwoRows && kTwoColumns) _tile_stored(3, below + 16, c_bytes);
}

}  // namespace

bool ready() {
  static const bool is = find_out();
  return is;
}

Tiles::Tiles() { set_shape(&kFullTiles, before_); }
Tiles::~Tiles() { restore_shape(before_); }

void product(std::int64_t rows, std::int64_t columns, std::int64_t depth, const BFloat16* a, std::int64_t a_stride,
             const std::uint32_t* b, std::int64_t b_stride, float* c, std::int64_t c_stride, bool add) {
  for (std::int64_t n = 0; n < columns; n += 32)
    for (std::int64_t m = 0; m < rows; m += 32) {
      const bool two_rows = m + 32 <= rows, two_columns = n + 32 <= columns;
      const auto run = two_rows ? (two_columns ? block<true, true> : block<true, false>)
                                : (two_columns ? block<false, true> : block<false, false>);
      run(depth, a + m * a_stride, a_stride, b + n, b_stride, c + m * c_stride + n, c_stride, add);
    }
}

}  // namespace orrery::amx

#else

namespace orrery::amx {

bool ready() { return false; }
Tiles::Tiles() = default;
Tiles::~Tiles() = default;
void product(std::int64_t, std::int64_t, std::int64_t, const BFloat16*, std::int64_t, const std::uint32_t*,
             std::int64_t, float*, std::int64_t, bool) {
  std::abort();
}

}  // namespace orrery::amx

#endif
