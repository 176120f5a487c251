// Errors, random numbers, parallel loops.
#include <numeric>
#include <set>
#include <vector>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "tests/support/catch.h"

using namespace orrery;

TEST_CASE("philox gives the published known answers", "[random]") {
  // Random123's kat_vectors, philox4x32 10.
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
}

TEST_CASE("a random sequence seeks and forks without a trace of what was drawn", "[random]") {
  Random a(7), b(7);
  for (int i = 0; i < 13; ++i) a.next_u32();
  b.seek(13);
  CHECK(a.next_u64() == b.next_u64());
  CHECK(Random(7).fork(3).next_u64() == a.fork(3).next_u64());
  CHECK(a.fork(3).next_u64() != a.fork(4).next_u64());
  CHECK(Random(7, 1).next_u64() != Random(7, 2).next_u64());
}

TEST_CASE("normal numbers have mean 0 and variance 1", "[random]") {
  Random random(1);
  const int count = 20000;
  double sum = 0, squares = 0;
  for (int i = 0; i < count; ++i) {
    const double value = random.normal();
    sum += value;
    squares += value * value;
  }
  // Four standard errors: 4/√n for the mean, 4·√(2/n) for the variance.
  CHECK(std::abs(sum / count) < 0.0283);
  CHECK(std::abs(squares / count - 1) < 0.04);
}

TEST_CASE("parallel_for covers each index once and passes on an error", "[parallel]") {
  std::vector<int> hits(1001, 0);
  parallel_for(1001, 10, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
  });
  CHECK(std::set<int>(hits.begin(), hits.end()) == std::set<int>{1});
  CHECK_THROWS_AS(parallel_for(100, 1, [](std::int64_t, std::int64_t) { throw InputError("no"); }), InputError);
}

TEST_CASE("a result without a value says why", "[error]") {
  const Result<int> missing = Failure{"end of stream"};
  CHECK_FALSE(missing.ok());
  CHECK_THROWS_WITH(missing.value(), "end of stream");
  CHECK(Result<int>(3).value() == 3);
}
