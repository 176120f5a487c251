// How long the window waits for a frame when one jumps about in a long video, and what is held meanwhile.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "core/base/random.h"
#include "viewer/state/file_reel.h"

// viewer_scrub_bench VIDEO [JUMPS]
int main(int argc, char** argv) try {
  using Clock = std::chrono::steady_clock;
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "viewer_scrub_bench VIDEO [JUMPS]\n");
    return 2;
  }
  const int jumps = argc > 2 ? std::stoi(argv[2]) : 200;
  orrery::viewer::FileReel reel(argv[1]);
  reel.settle();
  const auto frames = static_cast<std::uint64_t>(reel.info().frames);
  orrery::Random random(42);
  std::vector<double> exact, near;
  std::size_t held = 0;
  for (int i = 0; i < jumps; ++i) {
    const auto frame = static_cast<std::int64_t>(random.below(frames));
    const auto begin = Clock::now();
    reel.attend(frame);
    const bool stand_in = reel.nearest(frame) != nullptr;
    near.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    if (!stand_in) std::printf("no stand-in for frame %lld\n", static_cast<long long>(frame));
    reel.settle();
    exact.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    held = std::max(held, reel.held());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // a person's hand; small ones are read meanwhile
  }
  for (auto& [name, times] :
       {std::pair<const char*, std::vector<double>&>{"a near frame", near}, {"the frame", exact}}) {
    std::sort(times.begin(), times.end());
    std::printf("%-13s median %.2f ms, 95%% %.2f ms, longest %.2f ms\n", name, times[times.size() / 2],
                times[times.size() * 95 / 100], times.back());
  }
  std::printf("%lld frames, %d jumps, at most %.0f MB held, %d small ones\n", static_cast<long long>(frames), jumps,
              static_cast<double>(held) / 1048576, reel.stand_ins());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "viewer_scrub_bench: %s\n", error.what());
  return 1;
}
