// Frames a second of one core that the worlds draw, by processor time, so that other work on the machine counts little:
// worlds_bench [SECONDS a scene and size, default 0.5]. Columns: drawn alone, and simulated and drawn.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>

#include "core/base/parallel.h"
#include "physics_eval/worlds/scene.h"
#include "physics_eval/worlds/world.h"

namespace {

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Calls of `work` a second of processor time.
template <class Work>
double rate(double seconds, Work work) {
  work();
  const double start = processor_seconds();
  int count = 0;
  while (processor_seconds() - start < seconds) work(), ++count;
  return count / (processor_seconds() - start);
}

}  // namespace

int main(int argc, char** argv) try {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.5;
  orrery::set_thread_count(1);
  std::printf("%-20s %12s %12s %12s %12s\n", "scene", "64 drawn", "64 both", "256 drawn", "256 both");
  for (const orrery::worlds::SceneInfo& scene : orrery::worlds::scene_registry()) {
    std::printf("%-20s", scene.name.data());
    for (const int size : {64, 256}) {
      orrery::worlds::WorldSpec spec;
      spec.scene = scene.name;
      spec.width = spec.height = size;
      orrery::worlds::World world(spec);
      orrery::Frame frame(size, size);
      for (int i = 0; i < 8; ++i) world.step();
      std::printf(" %12.0f", rate(seconds, [&] { world.draw(frame); }));
      std::printf(" %12.0f", rate(seconds, [&] { world.step(), world.draw(frame); }));
    }
    std::printf("\n");
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "worlds_bench: %s\n", error.what());
  return 1;
}
