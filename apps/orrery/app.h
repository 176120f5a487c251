// What the programs share that take subcommands: the common options, and errors turned into one line and an exit code.
#pragma once

#include "apps/orrery/command.h"

namespace orrery::cli {

/// Runs the command line; `add_commands` adds the subcommands. Returns the process's exit code.
int run_app(int argc, char** argv, const char* name, void (*add_commands)(CLI::App& app, CommonOptions& common));

}  // namespace orrery::cli
