// What a sentence says of a world, read by its words alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace orrery::pipeline {

struct Said {
  std::vector<std::string> colours;  ///< sorted; words of worlds::named_colours()
  std::int64_t count = 1;            ///< bodies: a number word, or as many as there are colours
  int direction = 0;                 ///< -1: to the left, 1: to the right, 0: the sentence does not say
  std::string motion;                ///< "bounce", "throw", "roll", "collide", "pendulum"; empty: none of these
};

Said read_sentence(const std::string& sentence);

}  // namespace orrery::pipeline
