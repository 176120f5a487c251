// The tree keeps to its layers, and the scan that says so can fail.
#include "tests/support/include_layers.h"

#include "tests/support/catch.h"

using orrery::house::breaches_of;

TEST_CASE("no file includes what its layer may not", "[house]") {
  int files = 0;
  const auto breaches = orrery::house::scan_tree(ORRERY_SOURCE_DIR, files);
  for (const auto& breach : breaches) UNSCOPED_INFO(breach);
  CHECK(breaches.empty());
  CHECK(files > 40);  // the scan found the tree
}

TEST_CASE("the include scan finds each kind of breach", "[house]") {
  auto count = [](const char* path, const char* text) { return breaches_of(path, text).size(); };
  // Upwards.
  CHECK(count("kernels/cpu/a.cc", "#include \"core/base/error.h\"\n") == 1);
  CHECK(count("core/ops/a.cc", "#include \"kernels/cpu/convert.h\"\n") == 1);
  CHECK(count("core/model/a.h", "#include \"video/frames/frame.h\"\n") == 1);
  CHECK(count("video/io/a.cc", "#include \"video/latent/codec.h\"\n") == 1);
  CHECK(count("video/frames/a.cc", "#include \"core/model/model.h\"\n") == 1);
  CHECK(count("physics_eval/laws/a.cc", "#include \"core/generate/sampler.h\"\n") == 1);
  CHECK(count("physics_eval/laws/a.cc", "#include \"physics_eval/worlds/bounce.h\"\n") == 1);
  CHECK(count("physics_eval/worlds/a.cc", "#include \"physics_eval/laws/gravity.h\"\n") == 1);
  CHECK(count("apps/pipeline/a.cc", "#include \"viewer/state/state.h\"\n") == 1);
  CHECK(count("core/ops/a.cc", "  #  include \"tests/support/catch.h\"\n") == 1);
  // Vendors in the wrong layer.
  CHECK(count("core/ops/a.cc", "#include <dnnl.hpp>\n") == 1);
  CHECK(count("video/frames/a.cc", "#include <opencv2/imgproc.hpp>\n") == 1);
  // Back ends, paths, folders.
  CHECK(count("core/ops/a.cc", "#ifdef ORRERY_CUDA\n#endif\n") == 1);
  CHECK(count("core/ops/a.cc", "#include \"matmul.h\"\n") == 1);
  CHECK(count("engine/a.cc", "\n") == 1);
  // Spelt so that this file is clean itself.
  CHECK(count("tests/core/a.cc",
              "CHECK_THROWS_WITH(f(), Catch::"
              "Contains(\"x\"));\n") == 1);
}

TEST_CASE("a header that brings a vendor's stays in its layer", "[house]") {
  std::map<std::string, std::string> files = {
      {"video/io/libav/libav.h", "#include <libavcodec/avcodec.h>\n"},
      {"video/io/decoder.h", "#include \"video/io/libav/libav.h\"\n"},
      {"video/io/reader.h", "#include \"video/frames/frame.h\"\n"},
      {"video/io/reader.cc", "#include \"video/io/decoder.h\"\n#include \"video/io/reader.h\"\n"},
  };
  CHECK(orrery::house::vendor_leaks(files).empty());
  files["apps/pipeline/clip.cc"] = "#include \"video/io/decoder.h\"\n#include \"video/io/reader.h\"\n";
  CHECK(orrery::house::vendor_leaks(files).size() == 1);
  files["video/io/reader.h"] = "#include \"video/io/decoder.h\"\n";
  CHECK(orrery::house::vendor_leaks(files).size() == 2);
}

TEST_CASE("the include scan lets through what the table allows", "[house]") {
  const char* text = "#include <vector>\n#include <sys/mman.h>\n#include \"core/base/error.h\"\n";
  CHECK(breaches_of("core/io/a.cc", text).empty());
  CHECK(breaches_of("core/io/a.cc", "#include <nlohmann/json.hpp>\n").empty());
  CHECK(breaches_of("kernels/cpu/a.cc", "#include <hwy/highway.h>\n#include \"kernels/api/norm.h\"\n").empty());
  CHECK(breaches_of("physics_eval/track/a.cc", "#include \"physics_eval/worlds/annotations.h\"\n").empty());
  CHECK(breaches_of("apps/orrery/a.cc", "#include <CLI/CLI.hpp>\n#include \"viewer/state/state.h\"\n").empty());
  CHECK(breaches_of("core/ops/backends.cc", "#ifdef ORRERY_CUDA\n#endif\n").empty());
  CHECK(breaches_of("tests/core/a.cc", "#include <dnnl.hpp>\n").empty());
  CHECK(breaches_of("core/a.cc", "// #include \"viewer/state/state.h\"\n").empty());
}
