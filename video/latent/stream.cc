// Streaming: the encoder keeps one chunk of frames, the decoder the latents that it looks back on.
#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/autograd/autograd.h"
#include "core/base/parallel.h"
#include "video/latent/codec.h"

namespace orrery {

std::int64_t latent_frames(const CodecConfig& config, std::int64_t frames) {
  ORRERY_CHECK(frames >= 1, "[codec] a clip of ", frames, " frames, expected at least 1");
  return 1 + (frames - 1 + config.time_factor - 1) / config.time_factor;
}

std::int64_t decoded_frames(const CodecConfig& config, std::int64_t latents) {
  return 1 + (latents - 1) * config.time_factor;
}

Tensor frames_to_tensor(std::span<const Frame> frames) {
  ORRERY_CHECK(!frames.empty(), "[codec] no frames");
  const Tensor tensor =
      Tensor::empty({static_cast<std::int64_t>(frames.size()), frames[0].height(), frames[0].width(), 3});
  float* out = tensor.data<float>();
  for (const Frame& frame : frames) {
    ORRERY_CHECK(frame.width() == frames[0].width() && frame.height() == frames[0].height(), "[codec] frames of ",
                 frame.width(), "x", frame.height(), " and ", frames[0].width(), "x", frames[0].height(),
                 " in one clip");
    for (const std::uint8_t byte : frame.bytes()) *out++ = static_cast<float>(byte) * (2.0f / 255.0f) - 1.0f;
  }
  return tensor;
}

Frame tensor_to_frame(const float* pixels, int width, int height) {
  Frame frame(width, height);
  for (std::uint8_t& byte : frame.bytes())
    byte = static_cast<std::uint8_t>(std::lround(std::clamp((*pixels++ + 1.0f) * 127.5f, 0.0f, 255.0f)));
  return frame;
}

namespace {

// A device's ops share memory for what lies between their kernels: one thread at a time.
class DeviceTurn {
 public:
  explicit DeviceTurn(const LatentCodec& codec) {
    static std::mutex mutex;
    if (codec.device() != Device::cpu) lock_ = std::unique_lock(mutex);
  }

 private:
  std::unique_lock<std::mutex> lock_;
};

// Pixels [N, time_factor, H, W, 3] on the CPU → codes.
std::vector<std::int32_t> encoded(const LatentCodec& codec, const Tensor& pixels) {
  const DeviceTurn turn(codec);
  return codec.codes_of(codec.quantize(codec.encode(pixels.to(codec.device()))));
}

// A chunk of one latent frame: short ones are padded at the front (the first frame of a clip stands alone).
Tensor chunk_of(std::span<const Frame> frames, std::int64_t time_factor) {
  std::vector<Frame> padded(static_cast<std::size_t>(time_factor) - frames.size(), frames.front());
  padded.insert(padded.end(), frames.begin(), frames.end());
  const Tensor pixels = frames_to_tensor(padded);
  return pixels.reshaped({1, time_factor, pixels.dim(1), pixels.dim(2), 3});
}

}  // namespace

std::vector<std::int32_t> StreamingEncoder::flush() {
  const NoGrad guard;
  const Tensor chunk = chunk_of(pending_, codec_.config().time_factor);
  pending_.clear();
  ++latents_;
  return encoded(codec_, chunk);
}

std::vector<std::int32_t> StreamingEncoder::push(const Frame& frame) {
  pending_.push_back(frame);
  const auto wanted = static_cast<std::size_t>(latents_ == 0 ? 1 : codec_.config().time_factor);
  return pending_.size() == wanted ? flush() : std::vector<std::int32_t>();
}

std::vector<std::int32_t> StreamingEncoder::finish() {
  if (pending_.empty()) return {};
  while (pending_.size() < static_cast<std::size_t>(codec_.config().time_factor)) pending_.push_back(pending_.back());
  return flush();
}

StreamingDecoder::StreamingDecoder(const LatentCodec& codec, std::int64_t rows, std::int64_t columns)
    : codec_(codec), rows_(rows), columns_(columns) {}

// The latents that a decoder looks back on, the newest last: [rows, columns, history · dims].
void StreamingDecoder::copy_history(float* to) const {
  const CodecConfig& config = codec_.config();
  const auto dims = static_cast<std::int64_t>(config.all_levels().size());
  const std::int64_t first = config.history - static_cast<std::int64_t>(history_.size());
  for (std::size_t k = 0; k < history_.size(); ++k)
    for (std::int64_t cell = 0; cell < rows_ * columns_; ++cell)
      std::copy_n(history_[k].data<float>() + cell * dims, dims,
                  to + (cell * config.history + first + static_cast<std::int64_t>(k)) * dims);
}

std::vector<std::vector<Frame>> StreamingDecoder::push_each(std::span<StreamingDecoder* const> decoders,
                                                            std::span<const std::vector<std::int32_t>> codes) {
  const NoGrad guard;
  const LatentCodec& codec = decoders[0]->codec_;
  const CodecConfig& config = codec.config();
  const std::int64_t rows = decoders[0]->rows_, columns = decoders[0]->columns_;
  const auto count = static_cast<std::int64_t>(decoders.size()),
             dims = static_cast<std::int64_t>(config.all_levels().size());
  std::vector<std::int32_t> all;
  for (const std::vector<std::int32_t>& some : codes) all.insert(all.end(), some.begin(), some.end());
  const Tensor latents = codec.latents_of(all, count, rows, columns);
  Tensor history;
  if (config.history > 0) {
    history = Tensor::zeros({count, rows, columns, config.history * dims});
    for (std::int64_t i = 0; i < count; ++i)
      decoders[static_cast<std::size_t>(i)]->copy_history(history.data<float>() + i * history.numel() / count);
  }
  const Tensor pixels = [&] {
    const DeviceTurn turn(codec);
    const Tensor earlier = history.defined() ? history.to(codec.device()) : history;
    return codec.decode(latents.to(codec.device()), earlier).to(Device::cpu);
  }();
  const auto height = static_cast<int>(pixels.dim(2)), width = static_cast<int>(pixels.dim(3));
  std::vector<std::vector<Frame>> frames(decoders.size());
  parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      StreamingDecoder& decoder = *decoders[static_cast<std::size_t>(i)];
      if (config.history > 0) {
        const std::int64_t size = rows * columns * dims;
        decoder.history_.push_back(latents.alias({1, rows, columns, dims}, {size, columns * dims, dims, 1}, i * size));
        if (static_cast<std::int64_t>(decoder.history_.size()) > config.history) decoder.history_.pop_front();
      }
      const float* chunk = pixels.data<float>() + i * pixels.numel() / count;
      for (std::int64_t t = decoder.latents_ == 0 ? config.time_factor - 1 : 0; t < config.time_factor; ++t)
        frames[static_cast<std::size_t>(i)].push_back(tensor_to_frame(chunk + t * height * width * 3, width, height));
      ++decoder.latents_;
    }
  });
  return frames;
}

std::vector<Frame> StreamingDecoder::push(std::span<const std::int32_t> codes) {
  StreamingDecoder* const self = this;
  const std::vector<std::int32_t> own(codes.begin(), codes.end());
  return std::move(push_each(std::span(&self, 1), std::span(&own, 1))[0]);
}

std::vector<std::int32_t> encode_clip(const LatentCodec& codec, std::span<const Frame> frames) {
  const NoGrad guard;
  constexpr std::size_t kChunksAtOnce = 16;
  const auto step = static_cast<std::size_t>(codec.config().time_factor);
  std::vector<std::int32_t> codes;
  std::vector<Frame> batch;
  const auto flush = [&] {
    if (batch.empty()) return;
    const Tensor pixels = frames_to_tensor(batch);
    const auto chunks = static_cast<std::int64_t>(batch.size() / step);
    const Tensor x = pixels.reshaped({chunks, codec.config().time_factor, pixels.dim(1), pixels.dim(2), 3});
    const std::vector<std::int32_t> part = encoded(codec, x);
    codes.insert(codes.end(), part.begin(), part.end());
    batch.clear();
  };
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (i == 0) {
      batch.assign(step, frames[0]);
    } else {
      batch.push_back(frames[i]);
    }
    if (i + 1 == frames.size())
      while (batch.size() % step != 0) batch.push_back(frames[i]);
    if (batch.size() >= kChunksAtOnce * step && batch.size() % step == 0) flush();
  }
  flush();
  return codes;
}

}  // namespace orrery
