// orrery convert IN OUT: a model's weights in another number format or under other names.
#include <memory>

#include <CLI/CLI.hpp>

#include "apps/orrery/command.h"
#include "apps/pipeline/convert_model.h"

namespace orrery::cli {

void add_convert(CLI::App& app, CommonOptions&) {
  struct Options {
    std::string from, to, weights = "int8", names = "transformers";
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("convert",
                                         "Store a model's weights in fewer bits, or under other names: orrery convert "
                                         "out/model models/mine --weights int8");
  command->add_option("in", options->from, "Model folder")->required();
  command->add_option("out", options->to, "Folder to write")->required();
  command->add_option("--weights", options->weights, "f32, bf16 or int8")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  command->add_option("--names", options->names, "Tensor names: transformers or released (DeepSeek's checkpoints)")
      ->check(CLI::IsMember({"transformers", "released"}))
      ->capture_default_str();
  command->callback([options] {
    const StoredAs stored = options->weights == "int8"   ? StoredAs::int8
                            : options->weights == "bf16" ? StoredAs::bf16
                                                         : StoredAs::f32;
    pipeline::convert_model(options->from, options->to, stored,
                            options->names == "released" ? WeightNames::released : WeightNames::transformers);
  });
}

}  // namespace orrery::cli
