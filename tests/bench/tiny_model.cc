// Writes the tests' tiny model with random weights into a folder, for trials that are about files and not about
// pictures.
#include "tests/apps/tiny_model.h"

#include <cstdio>
#include <exception>
#include <filesystem>

// tiny_model FOLDER
int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fprintf(stderr, "tiny_model FOLDER\n");
    return 2;
  }
  std::filesystem::create_directories(argv[1]);
  orrery::test::write_tiny_model(argv[1]);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "tiny_model: %s\n", error.what());
  return 1;
}
