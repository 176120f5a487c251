// A video or picture file, read on a thread of its own. A clip that fits the budget is held whole; of a longer one the
// frames around the one that is looked at, and small ones from all over it that stand in while one scrubs.
#pragma once

#include <memory>
#include <string>

#include "viewer/state/reel.h"

namespace orrery::viewer {

class FileReel : public Reel {
 public:
  /// Frames held at most, in bytes.
  static constexpr std::size_t kBudget = std::size_t{256} << 20;

  /// Small frames held of a long video, evenly spread.
  static constexpr int kStandIns = 256;

  /// Returns at once; what is wrong with the file is in info().error later.
  explicit FileReel(const std::string& path, std::size_t budget = kBudget);
  /// Stops reading after the frame in work.
  ~FileReel() override;

  ReelInfo info() const override;
  Picture picture(std::int64_t frame) const override;
  Picture nearest(std::int64_t frame) const override;
  void attend(std::int64_t frame) override;

  const std::string& path() const;
  /// Bytes of the frames held now.
  std::size_t held() const;
  /// Small frames held now.
  int stand_ins() const;
  /// Waits until the file is open (or has failed) and the frame looked at is there: for tests and scripts.
  void settle() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orrery::viewer
