// orrery train: the training commands (training.cc), with a picture of the log at the end, which needs FFmpeg.
#include "apps/orrery/command.h"
#include "apps/pipeline/training_plot.h"
#include "video/io/writer.h"

namespace orrery::cli {

void add_train(CLI::App& app, CommonOptions& common) {
  add_training(app, common,
               [](const std::string& folder) { write_image(folder + "/log.png", pipeline::plot_training(folder)); });
}

}  // namespace orrery::cli
