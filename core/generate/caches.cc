#include "core/generate/caches.h"

#include <cmath>
#include <cstring>

#include "kernels/api/bfloat16.h"
#include "kernels/api/decode.h"

namespace orrery {

namespace {

// The key's place in its block, a dimension every kIndexBlock elements.
template <class T, class Convert>
void put(std::vector<std::uint8_t>& data, std::int64_t at, std::span<const float> key, const Convert& convert) {
  const auto dim = static_cast<std::int64_t>(key.size());
  T* block = reinterpret_cast<T*>(data.data()) + at / kIndexBlock * kIndexBlock * dim + at % kIndexBlock;
  for (std::int64_t d = 0; d < dim; ++d) block[d * kIndexBlock] = convert(key[static_cast<std::size_t>(d)]);
}

std::int64_t held(const std::vector<float>& values) {
  return static_cast<std::int64_t>(values.capacity() * sizeof(float));
}
std::int64_t held(const CompressorCache& cache) {
  return held(cache.entries) + held(cache.open_kv) + held(cache.open_gate) + held(cache.prior_kv) +
         held(cache.prior_gate) + cache.keys.bytes();
}

}  // namespace

void IndexKeys::add(std::span<const float> key, DType dtype) {
  dtype_ = dtype;
  const auto at = static_cast<std::size_t>(count_);
  const auto block = static_cast<std::size_t>(kIndexBlock * size_of(dtype)) * key.size();
  data_.resize((at / static_cast<std::size_t>(kIndexBlock) + 1) * block);
  if (dtype == DType::i8) {
    float largest = 0;
    for (const float value : key) largest = std::max(largest, std::fabs(value));
    const float scale = largest > 0 ? largest / 127.0f : 1.0f;
    scales_.resize(at + 1);
    scales_[at] = scale;
    put<std::int8_t>(data_, count_, key,
                     [scale](float value) { return static_cast<std::int8_t>(std::lround(value / scale)); });
  } else if (dtype == DType::bf16) {
    put<BFloat16>(data_, count_, key, from_float<BFloat16>);
  } else {
    put<float>(data_, count_, key, from_float<float>);
  }
  ++count_;
}

CacheBytes DecodeState::Caches::memory() const {
  CacheBytes bytes;
  for (const LayerCache& layer : layers) {
    bytes.window += held(layer.window);
    bytes.latent += held(layer.latents);
    const bool indexed = layer.indexer.keys.bytes() > 0;
    (indexed ? bytes.csa : bytes.hca) += held(layer.compressor);
    bytes.indexer += held(layer.indexer);
  }
  if (mtp) bytes.other += held(mtp->layer.window) + held(mtp->states) + held(mtp->chain);
  if (device.block.defined()) bytes.other += device.block.bytes();
  bytes.other += static_cast<std::int64_t>(recent_ids.capacity() * sizeof(std::int32_t));
  return bytes;
}

}  // namespace orrery
