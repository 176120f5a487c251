// What the targets share: a property that must hold, whatever the input.
#pragma once

#include <cstdio>
#include <cstdlib>

/// Ends the process, as a fuzzer wants a finding reported, unless `condition` holds.
#define FUZZ_EXPECT(condition)                                                     \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (false)
