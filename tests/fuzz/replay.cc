// libFuzzer's stand-in for compilers without it: runs each file of the corpus folders through the target, whole, cut
// short and with single bytes bent. The target aborts or throws on a finding, which fails the test.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
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

}  // namespace

int main(int argc, char** argv) {
  int seeds = 0, runs = 0;
  for (int i = 1; i < argc; ++i) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
      if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      std::ifstream in(file, std::ios::binary);
      const Bytes seed((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
      runs += replay(seed);
      ++seeds;
    }
  }
  std::printf("%d seeds, %d inputs\n", seeds, runs);
  return seeds > 0 ? 0 : 1;
}
