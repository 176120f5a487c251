#include "apps/pipeline/frame_sink.h"

#include "apps/pipeline/worker.h"
#include "video/frames/resize.h"

namespace orrery::pipeline {

Frame scaled(const Frame& frame, int width, int height) {
  if (frame.width() == width && frame.height() == height) return frame;
  return resize(frame, width, height, width >= frame.width() ? Filter::sharp : Filter::area);
}

struct FrameSink::State {
  static constexpr std::size_t kQueued = 16;

  VideoWriter writer;
  Worker<Frame> worker;

  State(const std::string& path, int width, int height, const WriteOptions& options)
      : writer(path, width, height, options),
        worker(kQueued, [this, width, height](const Frame& frame) { writer.write(scaled(frame, width, height)); }) {}
};

FrameSink::FrameSink(const std::string& path, int width, int height, const WriteOptions& options)
    : state_(std::make_unique<State>(path, width, height, options)) {}

FrameSink::~FrameSink() = default;

void FrameSink::push(const Frame& frame) { state_->worker.push(frame); }

void FrameSink::finish(const std::string& metadata) {
  state_->worker.finish();
  state_->writer.set_metadata(metadata);
  state_->writer.close();
}

}  // namespace orrery::pipeline
