// Words from a tiny random model: well-formed whatever the weights, and the same every time.
#include "apps/pipeline/describe.h"

#include <memory>

#include "apps/pipeline/rollout.h"
#include "core/base/error.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"

using namespace orrery;
using namespace orrery::pipeline;

TEST_CASE("a description is text, depends on the codes alone, and looks at a bounded part", "[describe]") {
  const test::TemporaryFolder folder;
  test::write_tiny_model(folder.path().string());
  const LoadedModel model(folder.path().string());
  const auto cells = static_cast<std::size_t>(model.layout().cells());
  const auto seen = static_cast<std::size_t>(describe_latents(model));
  std::vector<std::int32_t> codes;
  for (std::size_t i = 0; i < (seen + 2) * cells; ++i) codes.push_back(static_cast<std::int32_t>(i * 7 % 16));
  const std::string text = describe(model, codes);
  CHECK(describe(model, codes) == text);
  CHECK(describe(model, std::span(codes).first(seen * cells)) == text);
  CHECK(static_cast<std::int64_t>(text.size()) < 40 * model.layout().group());
  CHECK_THROWS_AS(describe(model, {}), InputError);
  CHECK_THROWS_AS(describe(model, std::span(codes).first(cells + 1)), InputError);
}
