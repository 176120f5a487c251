// orrery: one line a subcommand.
#include "apps/orrery/app.h"

int main(int argc, char** argv) {
  using namespace orrery::cli;
  return run_app(argc, argv, "orrery", [](CLI::App& app, CommonOptions& common) {
    add_generate(app, common);
    add_replay(app, common);
    add_describe(app, common);
    add_bench(app, common);
    add_batch(app, common);
    add_encode(app, common);
    add_decode(app, common);
    add_convert(app, common);
    add_info(app, common);
    add_inspect(app, common);
    add_data(app, common);
    add_play(app, common);
    add_simulate(app, common);
    add_score(app, common);
    add_train(app, common);
  });
}
