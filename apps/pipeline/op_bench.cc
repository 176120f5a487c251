#include "apps/pipeline/op_bench.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>

#include "apps/pipeline/op_cases.h"
#include "core/base/parallel.h"

namespace orrery::pipeline {

namespace {

double now(bool processor_time) {
  timespec time{};
  clock_gettime(processor_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Median seconds of two things that take turns. Short ones are repeated, so that the clock does not count.
struct Turns {
  double first = 0, second = 0;
};
Turns take_turns(const OpBenchOptions& options, const std::function<void()>& first,
                 const std::function<void()>& second) {
  const auto repeats_of = [&](const std::function<void()>& run) {
    run();  // warm: primitives made, memory mapped
    const double begin = now(options.processor_time);
    run();
    const double once = std::max(1e-7, now(options.processor_time) - begin);
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(2e-3 / once));
  };
  const auto seconds_of = [&](const std::function<void()>& run, std::int64_t repeats) {
    const double begin = now(options.processor_time);
    for (std::int64_t i = 0; i < repeats; ++i) run();
    return (now(options.processor_time) - begin) / static_cast<double>(repeats);
  };
  const std::int64_t of_first = repeats_of(first), of_second = repeats_of(second);
  std::vector<double> firsts, seconds;
  const double end = now(options.processor_time) + options.seconds;
  do {
    firsts.push_back(seconds_of(first, of_first));
    seconds.push_back(seconds_of(second, of_second));
  } while (firsts.size() < 3 || now(options.processor_time) < end);
  return {median(firsts), median(seconds)};
}

/// A copy of so many bytes in all, half of them read and half written.
class Copying {
 public:
  explicit Copying(double bytes)
      : count_(std::max<std::int64_t>(1, static_cast<std::int64_t>(bytes / 8))),
        from_(Tensor::full({count_}, 1.0f)),
        to_(Tensor::zeros({count_})) {}
  void operator()() const { stream_copy(from_.data<float>(), to_.data<float>(), count_); }
  double bytes() const { return 8 * static_cast<double>(count_); }

 private:
  std::int64_t count_;
  Tensor from_, to_;
};

constexpr std::int64_t kLarge = 1536;
constexpr double kLargeFlops = 2.0 * kLarge * kLarge * kLarge;

/// The library's product that an op of `dtype` is held against: in f32 where the machine has no bf16 instructions.
std::shared_ptr<BareProduct> bare(BareProductShape shape) {
  if (std::shared_ptr<BareProduct> product = bare_product(shape)) return product;
  shape.dtype = DType::f32;
  return bare_product(shape);
}
std::shared_ptr<BareProduct> large(DType dtype) { return bare({1, kLarge, kLarge, kLarge, dtype}); }

MachineCeilings ceilings(const OpBenchOptions& options) {
  MachineCeilings machine;
  machine.threads = thread_count();
  machine.bf16_products = has_bf16_products();
  const auto f32 = large(DType::f32), bf16 = large(DType::bf16);
  const Turns products = take_turns(
      options, [&] { f32->run(); }, [&] { bf16->run(); });
  machine.f32 = kLargeFlops / products.first / 1e9;
  machine.bf16 = kLargeFlops / products.second / 1e9;
  const Copying cached(4 << 20), memory(256 << 20);
  const Turns copies = take_turns(options, cached, memory);
  machine.cached = cached.bytes() / copies.first / 1e9;
  machine.memory = memory.bytes() / copies.second / 1e9;
  return machine;
}

OpBenchRow measure(const OpCase& op, const MachineCeilings& machine, const OpBenchOptions& options) {
  const OpWork work = op.make();
  OpBenchRow row{op.name, name_of(work.dtype), work.shape, {}, work.bytes > 0};
  const bool widened = work.dtype == DType::bf16 && !machine.bf16_products;
  if (row.bandwidth) {
    const Copying copy(work.bytes);
    const Turns turns = take_turns(options, work.run, copy);
    const double vector_ops = work.vector_ops + (widened ? work.conversions : 0);
    const double arithmetic = 2 * vector_ops / (machine.f32 * 1e9);  // a product counts two a lane
    row.rate = work.bytes / turns.first / 1e9;
    row.ceiling = copy.bytes() / turns.second / 1e9;
    row.against = arithmetic > turns.second ? "arithmetic" : "copy";
    row.share = std::max(arithmetic, work.bytes / row.ceiling / 1e9) / turns.first;
    return row;
  }
  const bool same_shape = work.product.m > 0;
  const std::shared_ptr<BareProduct> product = same_shape ? bare(work.product) : large(work.dtype);
  const double flops = !same_shape ? kLargeFlops
                                   : 2.0 * static_cast<double>(work.product.batch * work.product.m * work.product.n) *
                                         static_cast<double>(work.product.k);
  const Turns turns = take_turns(options, work.run, [&] { product->run(); });
  row.rate = work.flops / turns.first / 1e9;
  row.ceiling = flops / turns.second / 1e9;
  row.against = std::string(same_shape ? "same shape" : "large product") + (widened ? ", f32" : "");
  row.share = row.rate / row.ceiling;
  return row;
}

}  // namespace

OpBench bench_ops(const OpBenchOptions& options, const std::function<void(std::int64_t)>& update) {
  OpBench bench;
  bench.machine = ceilings(options);
  std::int64_t done = 0;
  for (const OpCase& row : op_cases()) {
    if (row.name.find(options.only) == std::string::npos) continue;
    bench.rows.push_back(measure(row, bench.machine, options));
    if (update) update(++done);
  }
  return bench;
}

Json op_bench_json(const OpBench& bench) {
  Json rows = Json::array();
  for (const OpBenchRow& row : bench.rows)
    rows.push_back(Json::object({{"op", row.name},
                                 {"dtype", row.dtype},
                                 {"shape", row.shape},
                                 {"unit", row.bandwidth ? "GB/s" : "GFLOP/s"},
                                 {"rate", row.rate},
                                 {"ceiling", row.ceiling},
                                 {"against", row.against},
                                 {"share", row.share}}));
  return Json::object({{"threads", bench.machine.threads},
                       {"bf16_products", bench.machine.bf16_products},
                       {"product_f32_gflops", bench.machine.f32},
                       {"product_bf16_gflops", bench.machine.bf16},
                       {"copy_cached_gbs", bench.machine.cached},
                       {"copy_memory_gbs", bench.machine.memory},
                       {"rows", rows}});
}

std::string op_bench_table(const OpBench& bench) {
  char line[256];
  std::string text;
  const auto add = [&](auto... values) {
    std::snprintf(line, sizeof line, values...);
    text += line;
  };
  const MachineCeilings& machine = bench.machine;
  add("%d threads; the library's product of %lld cubed: f32 %.0f GFLOP/s, bf16 %.0f%s; a copy: %.1f GB/s in cache, "
      "%.1f "
      "in memory\n\n",
      machine.threads, static_cast<long long>(kLarge), machine.f32, machine.bf16,
      machine.bf16_products ? "" : " (in f32: no bf16 instructions)", machine.cached, machine.memory);
  add("%-34s %-5s %-38s %16s %9s %6s  %s\n", "op", "", "shape", "achieved", "ceiling", "share", "which ceiling");
  for (const OpBenchRow& row : bench.rows)
    add("%-34s %-5s %-38s %8.1f %-7s %9.1f %5.0f%%  %s\n", row.name.c_str(), row.dtype.c_str(), row.shape.c_str(),
        row.rate, row.bandwidth ? "GB/s" : "GFLOP/s", row.ceiling, 100 * row.share, row.against.c_str());
  return text;
}

}  // namespace orrery::pipeline
