// orrery-train: `orrery train` alone, without FFmpeg and all that needs it, to be carried to a bare GPU machine.
#include "apps/orrery/app.h"

int main(int argc, char** argv) {
  using namespace orrery::cli;
  return run_app(argc, argv, "orrery-train",
                 [](CLI::App& app, CommonOptions& common) { add_training(app, common, nullptr); });
}
