// Verifying a clip: its record says how it was made; it is made again and compared.
#pragma once

#include "apps/pipeline/generate.h"

namespace orrery::pipeline {

struct ReplayReport {
  /// Model's frames and file's frames both as the record and the file have them.
  bool identical = false;
  bool same_codes = false;
  std::int64_t frames = 0;         ///< compared
  std::int64_t differs_from = -1;  ///< first frame that differs, from 0; −1: none
  double psnr = 0;                 ///< of the file's frames against those made again, dB; 100: equal
  std::string answer;              ///< one line for people
};

/// The record of a clip: from its metadata, completed by its sidecar. Throws InputError when there is none.
Json read_record(const std::string& path);

/// Makes the clip again and compares three things: the codes, the model's frames, and the file's pictures, which are
/// encoded again in the same way (into `scratch`, a folder). Throws InputError when the model's weights are not the
/// record's.
ReplayReport replay_clip(const LoadedModel& model, const std::string& path, const std::string& scratch,
                         const ClipProgress& progress = {});

}  // namespace orrery::pipeline
