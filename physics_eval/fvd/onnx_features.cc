#include "physics_eval/fvd/onnx_features.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/dnn.hpp>

#include "core/base/error.h"
#include "core/io/files.h"
#include "core/tensor/tensor.h"

namespace orrery {

namespace {

using Size = std::size_t;

// As much of protobuf as the inputs' shapes need: fields by number, lengths inside.
class Message {
 public:
  Message(std::string_view bytes, const std::string& source) : rest_(bytes), source_(source) {}

  struct Field {
    std::uint64_t number = 0, value = 0;
    std::string_view bytes;
  };

  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const std::uint64_t key = varint();
    Field out;
    out.number = key >> 3;
    switch (key & 7) {
      case 0:
        out.value = varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        out.bytes = take(varint());
        break;
      case 5:
        take(4);
        break;
      default:
        throw InputError(source_ + ": no ONNX file");
    }
    return out;
  }

  /// The bytes of every field of that number.
  std::vector<std::string_view> all(std::uint64_t number) {
    std::vector<std::string_view> out;
    while (const auto field = next()) {
      if (field->number == number) out.push_back(field->bytes);
    }
    return out;
  }

 private:
  std::string_view take(std::uint64_t count) {
    ORRERY_CHECK(count <= rest_.size(), source_, ": no ONNX file, or it is cut off");
    const std::string_view out = rest_.substr(0, static_cast<Size>(count));
    rest_.remove_prefix(static_cast<Size>(count));
    return out;
  }
  std::uint64_t varint() {
    std::uint64_t out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(take(1)[0]);
      out |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return out;
    }
    throw InputError(source_ + ": no ONNX file");
  }

  std::string_view rest_;
  const std::string& source_;
};

// onnx.proto: ModelProto.graph 7; GraphProto.initializer 5 (TensorProto.name 8), input 11; ValueInfoProto.name 1,
// type 2; TypeProto.tensor_type 1; shape 2; dim 1; dim_value 1. A size that is left open is 0.
std::vector<std::int64_t> input_shape(const std::string& file, const std::string& source) {
  const auto graphs = Message(file, source).all(7);
  ORRERY_CHECK(graphs.size() == 1, source, ": no ONNX file: ", graphs.size(), " graphs");
  std::set<std::string_view> weights;
  for (const auto tensor : Message(graphs[0], source).all(5)) {
    for (const auto name : Message(tensor, source).all(8)) weights.insert(name);
  }
  std::vector<std::vector<std::int64_t>> inputs;
  for (const auto info : Message(graphs[0], source).all(11)) {
    const auto names = Message(info, source).all(1);
    if (names.empty() || weights.count(names[0]) > 0) continue;
    inputs.emplace_back();
    for (const auto type : Message(info, source).all(2)) {
      for (const auto tensor : Message(type, source).all(1)) {
        for (const auto shape : Message(tensor, source).all(2)) {
          for (const auto dim : Message(shape, source).all(1)) {
            Message sizes(dim, source);
            std::int64_t size = 0;
            while (const auto field = sizes.next()) {
              if (field->number == 1) size = static_cast<std::int64_t>(field->value);
            }
            inputs.back().push_back(size);
          }
        }
      }
    }
  }
  ORRERY_CHECK(inputs.size() == 1, source, ": ", inputs.size(), " inputs, expected one");
  return inputs[0];
}

class OnnxFeatures : public FeatureExtractor {
 public:
  OnnxFeatures(const std::string& path, const FvdProtocol& protocol) : path_(path), squaring_(protocol.squaring) {
    const std::string file = read_file(path);
    std::vector<std::int64_t> shape = input_shape(file, path);
    const bool clips = shape.size() == 5, channels_first = clips && shape[1] == 3;
    ORRERY_CHECK((clips && (channels_first || shape[2] == 3)) || (shape.size() == 4 && shape[1] == 3), path,
                 ": its input is ", to_string(shape), ", expected [N, 3, T, H, W], [N, T, 3, H, W] or [N, 3, H, W]");
    channels_first_ = channels_first;
    frames_ = clips ? shape[channels_first ? 2 : 1] : 1;
    whole_clip_ = clips;
    const std::int64_t height = shape[shape.size() - 2], width = shape.back();
    ORRERY_CHECK(height == width && height >= 0 && height <= 4096 && frames_ >= 0, path, ": its pictures are ", width,
                 "x", height, ", expected squares");
    side_ = height == 0 ? 224 : static_cast<int>(height);
    try {
      net_ = cv::dnn::readNetFromONNX(file.data(), file.size());
    } catch (const cv::Exception& error) {
      throw InputError(path + ": OpenCV's dnn cannot run it: " + error.err);
    }
  }

  std::string name() const override { return "onnx " + path_.substr(path_.rfind('/') + 1); }
  std::string metric() const override { return "fvd-onnx"; }
  std::string title() const override { return "Frechet distance (" + name() + ")"; }
  int least_frames() const override { return std::max(1, static_cast<int>(frames_)); }

  std::vector<std::vector<double>> extract(std::span<const Frame> frames) const override {
    ORRERY_CHECK(static_cast<int>(frames.size()) >= least_frames(), "[fvd] a clip of ", frames.size(),
                 " frames, this network takes ", least_frames());
    const bool one_by_one = !whole_clip_;
    if (whole_clip_ && frames_ > 0) frames = frames.first(static_cast<Size>(frames_));
    const Tensor clip = square_clip(frames, side_, squaring_);
    if (!one_by_one) return {answer(clip)};
    std::vector<double> mean;
    for (std::int64_t t = 0; t < clip.dim(0); ++t) {
      const std::int64_t each = std::int64_t{3} * side_ * side_;
      const std::vector<double> one = answer(clip.alias({1, side_, side_, 3}, {each, 3 * side_, 3, 1}, t * each));
      mean.resize(one.size(), 0);
      for (Size i = 0; i < one.size(); ++i) mean[i] += one[i] / static_cast<double>(clip.dim(0));
    }
    return {mean};
  }

 private:
  // [T, side, side, 3] → the network's order → its first output.
  std::vector<double> answer(const Tensor& clip) const {
    const int times = static_cast<int>(clip.dim(0));
    std::vector<int> sizes{1, times, 3, side_, side_};
    if (channels_first_) std::swap(sizes[1], sizes[2]);
    if (!whole_clip_) sizes.erase(sizes.begin() + 1);
    cv::Mat blob(sizes, CV_32F);
    const std::int64_t plane = std::int64_t{side_} * side_;
    for (std::int64_t t = 0; t < times; ++t) {
      for (std::int64_t c = 0; c < 3; ++c) {
        const float* from = static_cast<const float*>(clip.raw()) + t * plane * 3 + c;
        float* to = blob.ptr<float>() + (channels_first_ ? c * times + t : t * 3 + c) * plane;
        for (std::int64_t i = 0; i < plane; ++i) to[i] = from[3 * i];
      }
    }
    const std::lock_guard<std::mutex> alone(mutex_);
    try {
      net_.setInput(blob);
      const cv::Mat out = net_.forward();
      ORRERY_CHECK(out.depth() == CV_32F && out.total() > 0, path_, ": its answer is not made of 32-bit numbers");
      return {out.ptr<float>(), out.ptr<float>() + out.total()};
    } catch (const cv::Exception& error) {
      throw InputError(path_ + ": OpenCV's dnn cannot run it: " + error.err);
    }
  }

  std::string path_;
  Squaring squaring_;
  bool channels_first_ = false, whole_clip_ = false;
  std::int64_t frames_ = 0;
  int side_ = 224;
  mutable std::mutex mutex_;
  mutable cv::dnn::Net net_;
};

}  // namespace

std::unique_ptr<FeatureExtractor> make_onnx_features(const std::string& path, const FvdProtocol& protocol) {
  return std::make_unique<OnnxFeatures>(path, protocol);
}

}  // namespace orrery
