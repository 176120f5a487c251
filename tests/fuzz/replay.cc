// libFuzzer's stand-in for compilers without it: runs each file of the corpus folders through the target, whole, cut
// short and with single bytes bent, and with -runs=N so many random mixtures of them, the same ones each time. The
// target aborts or throws on a finding, which fails the test. Other flags of libFuzzer are accepted and do nothing, so
// that scripts/fuzz can run either kind.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kCopies = 64;  // of each kind a seed

// A copy of exactly its size on the heap, so that a read behind the end is one.
void run(const std::uint8_t* data, std::size_t size) {
  const Bytes copy(data, data + size);
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

int replay(const Bytes& seed) {
  run(seed.data(), seed.size());
  const std::size_t step = std::max<std::size_t>(1, seed.size() / kCopies);
  for (std::size_t length = 0; length < seed.size(); length += step) run(seed.data(), length);
  for (std::size_t place = 0; place < seed.size(); place += step) {
    for (const int bend : {0x01, 0x80, 0xFF}) {
      Bytes bent = seed;
      bent[place] = static_cast<std::uint8_t>(bent[place] ^ bend);
      run(bent.data(), bent.size());
    }
  }
  return 1 + static_cast<int>((seed.size() + step - 1) / step) * 4;
}

// A seed with some bytes replaced, its length changed, or the end of another one behind it.
Bytes mixed(const std::vector<Bytes>& seeds, std::mt19937_64& random) {
  const auto below = [&](std::size_t count) { return count == 0 ? 0 : static_cast<std::size_t>(random() % count); };
  Bytes result = seeds[below(seeds.size())];
  if (below(4) == 0) {
    const Bytes& other = seeds[below(seeds.size())];
    result.resize(below(result.size() + 1));
    result.insert(result.end(), other.begin() + static_cast<std::ptrdiff_t>(below(other.size() + 1)), other.end());
  }
  if (below(4) == 0) result.resize(below(2 * result.size() + 8));
  for (std::size_t i = below(9); i > 0 && !result.empty(); --i)
    result[below(result.size())] = static_cast<std::uint8_t>(random());
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  long seeds = 0, runs = 0, wanted = 0;
  std::vector<Bytes> all;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.rfind("-runs=", 0) == 0) wanted = std::stol(argument.substr(6));
    if (argument.rfind("-", 0) == 0) continue;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
      if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      std::ifstream in(file, std::ios::binary);
      const Bytes seed((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
      runs += replay(seed);
      all.push_back(seed);
      ++seeds;
    }
  }
  std::mt19937_64 random(1);
  for (; runs < wanted && !all.empty(); ++runs) {
    const Bytes input = mixed(all, random);
    run(input.data(), input.size());
  }
  std::printf("%ld seeds, %ld inputs\n", seeds, runs);
  std::fprintf(stderr, "stat::number_of_executed_units: %ld\n", runs);
  return seeds > 0 ? 0 : 1;
}
