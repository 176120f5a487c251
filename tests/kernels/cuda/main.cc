// The op cases on a device: its preparation, then Catch.
#include "tests/kernels/cuda/prepare.h"

#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

int main(int argc, char** argv) {
  if (!orrery::test::prepare_device()) return 0;
  return Catch::Session().run(argc, argv);
}
