// How many frames pass between a push and its effect in the picture, in a live world of a model: two sessions play the
// same world, one of them is pushed. The push comes in when the world's thread has made all that it is wanted to make
// ahead.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>

#include "viewer/state/session.h"

namespace {

using orrery::viewer::Session;

void pass(Session& session, double seconds) {
  for (double t = 0; t < seconds - 1e-9; t += 1.0 / 24) {
    session.settle();
    session.tick(1.0 / 24);
  }
}

void play_to(Session& session, std::int64_t frame) {
  session.form.prompt = "a red ball bounces on the floor";
  session.start_prompt();
  while (session.playhead().frame() < frame) pass(session, 1.0 / 24);
  std::this_thread::sleep_for(std::chrono::seconds(1));
}

int largest_difference(const orrery::Frame& a, const orrery::Frame& b) {
  int largest = 0;
  for (std::size_t i = 0; i < a.bytes().size(); ++i) largest = std::max(largest, std::abs(a.bytes()[i] - b.bytes()[i]));
  return largest;
}

}  // namespace

// viewer_push_bench MODEL
int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fprintf(stderr, "viewer_push_bench MODEL\n");
    return 2;
  }
  constexpr int kPlain = 48;  // grey levels of 255 that nobody overlooks
  orrery::viewer::SessionOptions options;
  options.model = argv[1];
  for (const std::int64_t frame : {30, 45, 60}) {
    Session calm(options), pushed(options);
    play_to(calm, frame);
    play_to(pushed, frame);
    pushed.push({orrery::worlds::Push::right, 0.5, 0.5});
    pass(calm, 1);
    pass(pushed, 1);
    std::int64_t other = -1, plain = -1;
    for (std::int64_t i = frame; i < frame + 24 && plain < 0; ++i) {
      const int difference = largest_difference(*calm.live_run()->picture(-1, i), *pushed.live_run()->picture(-1, i));
      if (difference > 0 && other < 0) other = i;
      if (difference >= kPlain) plain = i;
    }
    std::printf(
        "pushed at frame %lld: the picture is another one after %lld frames, plainly after %lld (a latent frame: %d)\n",
        static_cast<long long>(frame), static_cast<long long>(other - frame), static_cast<long long>(plain - frame),
        pushed.live_run()->chunk_frames());
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "viewer_push_bench: %s\n", error.what());
  return 1;
}
