#include "apps/pipeline/describe.h"

#include <algorithm>

#include "core/base/error.h"

namespace orrery::pipeline {

namespace {

// The words fill the last group of the context, as in training.
constexpr std::int64_t kWordGroups = 1;

std::int32_t likeliest_text(const std::vector<float>& logits, const SequenceLayout& layout) {
  std::int32_t best = layout.text_end();
  for (std::int32_t id = 0; id < layout.vocabulary().first(); ++id)
    if (logits[static_cast<std::size_t>(id)] > logits[static_cast<std::size_t>(best)]) best = id;
  return best;
}

}  // namespace

std::int64_t describe_latents(const LoadedModel& model) { return model.context_groups() - 1 - kWordGroups; }

std::string describe(const LoadedModel& model, std::span<const std::int32_t> codes) {
  const SequenceLayout& layout = model.layout();
  const auto cells = static_cast<std::size_t>(layout.cells());
  ORRERY_CHECK(!codes.empty() && codes.size() % cells == 0, "[describe] ", codes.size(),
               " codes, expected whole latent frames of ", cells);
  const std::size_t latents =
      std::min(codes.size() / cells, static_cast<std::size_t>(std::max<std::int64_t>(1, describe_latents(model))));
  std::vector<std::int32_t> ids = layout.prompt({});
  for (std::size_t latent = 0; latent < latents; ++latent) {
    const auto group = layout.group_tokens(Action{}, codes.subspan(latent * cells, cells));
    ids.insert(ids.end(), group.begin(), group.end());
  }
  ids.push_back(layout.text_mark());
  DecodeState state = model.decoder().start();
  std::vector<std::int32_t> words;
  for (std::int64_t left = kWordGroups * layout.group() - 1; left > 0; --left) {
    const std::int32_t next = likeliest_text(model.decoder().append(state, ids), layout);
    if (next == layout.text_end()) break;
    words.push_back(next);
    ids = {next};
  }
  return model.tokenizer().decode(words);
}

}  // namespace orrery::pipeline
