// The names under which our writer stores things in containers and our reader finds them.
#pragma once

namespace orrery {

inline constexpr char kMetadataKey[] = "orrery";   ///< The provenance JSON.
inline constexpr char kSizeKey[] = "orrery_size";  ///< "WxH" of a picture that was padded to even sizes.
inline constexpr char kFpsKey[] = "orrery_fps";    ///< Frames a second of a PNG sequence.

}  // namespace orrery
