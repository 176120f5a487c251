// ORRERY_DEVICE_PROFILE=FILE.csv: what each kernel took on the device, written when the program ends.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "kernels/cuda/device.cuh"

namespace orrery::gpu {

namespace {

class Profile {
 public:
  explicit Profile(std::string file) : file_(std::move(file)) {}
  ~Profile() {
    collect();
    std::vector<std::pair<std::string, Sum>> rows(sums_.begin(), sums_.end());
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.ms > b.second.ms; });
    double all = 0;
    for (const auto& row : rows) all += row.second.ms;
    std::FILE* out = std::fopen(file_.c_str(), "w");
    if (!out) return;
    std::fprintf(out, "kernel,launches,ms,share\n");
    for (const auto& [name, sum] : rows)
      std::fprintf(out, "%s,%lld,%.3f,%.4f\n", name.c_str(), static_cast<long long>(sum.launches), sum.ms,
                   sum.ms / all);
    std::fclose(out);
  }

  cudaEvent_t mark() {
    cudaEvent_t event = nullptr;
    if (free_.empty()) {
      check(cudaEventCreate(&event), "profile");
    } else {
      event = free_.back();
      free_.pop_back();
    }
    check(cudaEventRecord(event, stream()), "profile");
    return event;
  }
  void add(std::string name, cudaEvent_t begin) {
    constexpr std::size_t kMostOpen = 8192;
    open_.push_back({std::move(name), begin, mark()});
    if (open_.size() >= kMostOpen) collect();
  }

 private:
  struct Sum {
    std::int64_t launches = 0;
    double ms = 0;
  };
  struct Span {
    std::string name;
    cudaEvent_t begin, end;
  };
  // At exit the driver may be gone: what was not read by then is left out.
  void collect() {
    if (cudaStreamSynchronize(stream()) != cudaSuccess) return;
    for (Span& span : open_) {
      float ms = 0;
      if (cudaEventElapsedTime(&ms, span.begin, span.end) != cudaSuccess) return;
      Sum& sum = sums_[span.name];
      ++sum.launches;
      sum.ms += static_cast<double>(ms);
      free_.push_back(span.begin);
      free_.push_back(span.end);
    }
    open_.clear();
  }

  std::string file_;
  std::vector<Span> open_;
  std::vector<cudaEvent_t> free_;
  std::map<std::string, Sum> sums_;
};

Profile* profile() {
  static const char* file = std::getenv("ORRERY_DEVICE_PROFILE");
  if (!file) return nullptr;
  static Profile instance(file);
  return &instance;
}

// "… [with Kernel = orrery::gpu::{anonymous}::QueryPass<…>; …]" → "QueryPass"
std::string kernel_in(std::string_view signature) {
  const std::size_t begin = signature.find("Kernel = ");
  if (begin == std::string_view::npos) return {};
  std::string_view name = signature.substr(begin + 9);
  name = name.substr(0, name.find_first_of("<;]"));
  const std::size_t scope = name.rfind("::");
  return std::string(scope == std::string_view::npos ? name : name.substr(scope + 2));
}

}  // namespace

Timed::Timed(const char* op, const char* signature) : op_(op), signature_(signature) {
  if (Profile* open = profile()) begin_ = open->mark();
}

Timed::~Timed() {
  if (begin_) profile()->add(std::string(op_) + "/" + kernel_in(signature_), begin_);
}

}  // namespace orrery::gpu
