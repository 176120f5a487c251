#include "tests/support/cuda_on_host/team.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/support/cuda_on_host/fiber.h"
#include "tests/support/cuda_on_host/memory.h"

namespace orrery::on_host {

namespace {

constexpr int kWarp = 32, kMost = 256;
constexpr std::size_t kStack = std::size_t{128} << 10;

enum class State { ready, at_block, at_warp, done };

struct Team {
  FiberContext scheduler = nullptr;
  std::vector<FiberContext> fibers = std::vector<FiberContext>(kMost);
  std::vector<unsigned char> stacks = std::vector<unsigned char>(kMost * kStack);
  State states[kMost] = {};
  std::uint64_t slots[2][kMost] = {};
  int parity[kMost] = {};
  int threads = 0, current = 0;
  void* context = nullptr;
  void (*entry)(void*, int) = nullptr;
};

// Kept for the program's life: stacks are large.
Team& team() {
  static Team* instance = new Team;
  return *instance;
}

const char* running_op = nullptr;
bool running_backwards = false;
std::int64_t launch_count = 0;
int depth = 0;

void wait(State state) {
  Team& t = team();
  const int me = t.current;
  t.states[me] = state;
  switch_fiber(&t.fibers[static_cast<std::size_t>(me)], t.scheduler);
}

void begin_fiber() {
  Team& t = team();
  t.entry(t.context, t.current);
  wait(State::done);
  std::abort();  // a fiber that is done is never resumed
}

void run_ready() {
  Team& t = team();
  for (int i = 0; i < t.threads; ++i) {
    const int thread = running_backwards ? t.threads - 1 - i : i;
    if (t.states[thread] != State::ready) continue;
    t.current = thread;
    switch_fiber(&t.scheduler, t.fibers[static_cast<std::size_t>(thread)]);
  }
}

// Lets those go on whose barrier is complete; false when all are done.
bool release() {
  Team& t = team();
  int done = 0, at_block = 0, released = 0;
  for (int first = 0; first < t.threads; first += kWarp) {
    int at_warp = 0;
    for (int i = first; i < first + kWarp; ++i) {
      at_warp += t.states[i] == State::at_warp ? 1 : 0;
      at_block += t.states[i] == State::at_block ? 1 : 0;
      done += t.states[i] == State::done ? 1 : 0;
    }
    if (at_warp != kWarp) continue;
    for (int i = first; i < first + kWarp; ++i) t.states[i] = State::ready;
    ++released;
  }
  if (done == t.threads) return false;
  if (at_block == t.threads) {
    for (int i = 0; i < t.threads; ++i) t.states[i] = State::ready;
    ++released;
  }
  if (released == 0) stop("a barrier or an exchange that not all threads reach");
  return true;
}

}  // namespace

void stop(const char* message) {
  std::fprintf(stderr, "cuda on the host: [%s] %s\n", running_op ? running_op : "no kernel", message);
  std::abort();
}

void run_team(int threads, void* context, void (*entry)(void* context, int thread)) {
  Team& t = team();
  t.threads = threads;
  t.context = context;
  t.entry = entry;
  for (int i = 0; i < threads; ++i) {
    t.states[i] = State::ready;
    t.parity[i] = 0;
    unsigned char* stack = t.stacks.data() + static_cast<std::size_t>(i) * kStack;
    t.fibers[static_cast<std::size_t>(i)] = make_fiber(stack, kStack, begin_fiber);
  }
  do run_ready();
  while (release());
}

int lane() { return team().current % kWarp; }

void block_barrier() { wait(State::at_block); }

std::uint64_t warp_exchange(std::uint64_t value, int lane) {
  if (lane < 0 || lane >= kWarp) stop("an exchange with a lane beyond 31");
  Team& t = team();
  const int me = t.current;
  // Two sets of slots in turn: a lane can be at most one exchange ahead of another.
  std::uint64_t* slots = t.slots[t.parity[me]];
  t.parity[me] ^= 1;
  slots[me] = value;
  wait(State::at_warp);
  return slots[me / kWarp * kWarp + lane];
}

unsigned warp_ballot(bool value) {
  Team& t = team();
  const int me = t.current;
  std::uint64_t* slots = t.slots[t.parity[me]];
  t.parity[me] ^= 1;
  slots[me] = value ? 1 : 0;
  wait(State::at_warp);
  unsigned bits = 0;
  for (int i = 0; i < kWarp; ++i) bits |= static_cast<unsigned>(slots[me / kWarp * kWarp + i]) << i;
  return bits;
}

const void* warp_publish(const void* bytes, int count) {
  static unsigned char published[kMost / kWarp][kWarp * 32];
  if (count > 32) stop("more than 32 bytes for a warp");
  const int me = team().current;
  unsigned char* own = published[me / kWarp];
  std::memcpy(own + me % kWarp * count, bytes, static_cast<std::size_t>(count));
  wait(State::at_warp);
  return own;
}

bool reverse() { return running_backwards; }
void set_reverse(bool value) { running_backwards = value; }
std::int64_t launches() { return launch_count; }

Running::Running(const char* op, std::int64_t blocks, int threads, std::int64_t shared) : shared_(shared) {
  running_op = op;
  ++launch_count;
  if (++depth != 1) stop("a launch inside a kernel");
  if (blocks > (std::int64_t{1} << 31) - 1) stop("more blocks than a grid has");
  if (threads < kWarp || threads > kMost || threads % kWarp != 0) stop("threads are no multiple of 32 up to 256");
  if (shared < 0 || shared > 160 * 1024) stop("more shared memory than a block has");
  open_device_memory();
}

Running::~Running() {
  --depth;
  close_device_memory();
}

unsigned char* Running::fresh_shared() const {
  static unsigned char* const region = [] {
    constexpr std::size_t kBytes = 164 * 1024;
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    void* mapped = mmap(nullptr, kBytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED || mprotect(static_cast<unsigned char*>(mapped) + kBytes, page, PROT_NONE) != 0)
      stop("no memory for shared memory");
    return static_cast<unsigned char*>(mapped) + kBytes;
  }();
  unsigned char* begin = region - (shared_ + 15) / 16 * 16;
  std::memset(begin, 0xFF, static_cast<std::size_t>(region - begin));
  return begin;
}

}  // namespace orrery::on_host
