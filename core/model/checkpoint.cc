#include "core/model/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "core/base/log.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "core/io/load_tensor.h"
#include "core/io/safetensors.h"
#include "core/model/weight_names.h"

namespace orrery {

namespace {

constexpr std::string_view kGateUp = ".experts.gate_up_proj", kDown = ".experts.down_proj";

// Expert e of [E, rows, columns]: `count` of its rows from `first` on.
Tensor expert_rows(const Tensor& stack, std::int64_t e, std::int64_t first, std::int64_t count) {
  const std::int64_t rows = stack.dim(1), columns = stack.dim(2);
  return stack.alias({count, columns}, {columns, 1}, (e * rows + first) * columns);
}

// The experts' tensors that a stack consists of, in canonical names; nothing for other parameters.
std::vector<NamedTensor> expert_parts(const Parameter& item) {
  std::vector<NamedTensor> parts;
  const bool gate_up = item.name.ends_with(kGateUp), down = item.name.ends_with(kDown);
  if (!gate_up && !down) return parts;
  const std::string prefix = item.name.substr(0, item.name.rfind('.') + 1);
  for (std::int64_t e = 0; e < item.value.dim(0); ++e) {
    const std::string expert = prefix + std::to_string(e) + ".";
    const std::int64_t rows = item.value.dim(1);
    if (gate_up) {
      parts.push_back({expert + "gate_proj.weight", expert_rows(item.value, e, 0, rows / 2)});
      parts.push_back({expert + "up_proj.weight", expert_rows(item.value, e, rows / 2, rows / 2)});
    } else {
      parts.push_back({expert + "down_proj.weight", expert_rows(item.value, e, 0, rows)});
    }
  }
  return parts;
}

// Canonical name → name in the file.
using FileNames = std::map<std::string, std::string>;
FileNames file_names(const TensorFile& file) {
  constexpr std::string_view kScale = ".scale";  // of an int8 tensor beside it
  FileNames names;
  for (const std::string& name : file.names()) {
    if (name.ends_with(kScale) && file.has(name.substr(0, name.size() - kScale.size()))) continue;
    const auto [at, added] = names.emplace(canonical_name(name), name);
    ORRERY_CHECK(added, file.source(), ": ", at->second, " and ", name, " are the same tensor");
  }
  return names;
}

void append(std::string& list, const std::string& name) { list += (list.empty() ? "" : ", ") + name; }

void load_weights(const TensorFile& file, FileNames names, const ParameterList& parameters) {
  std::vector<NamedTensor> targets;  // under the file's names
  std::string missing, unknown;
  const auto take = [&](const std::string& name, const Tensor& target) {
    const auto found = names.find(name);
    if (found == names.end()) return append(missing, name);
    targets.push_back({found->second, target});
    names.erase(found);
  };
  for (const Parameter& item : parameters.all()) {
    const std::vector<NamedTensor> parts = expert_parts(item);
    const bool split =
        std::any_of(parts.begin(), parts.end(), [&](const NamedTensor& part) { return names.count(part.name) > 0; });
    if (!split) take(item.name, item.value);
    if (split)
      for (const NamedTensor& part : parts) take(part.name, part.value);
  }
  for (const auto& [canonical, name] : names) append(unknown, name);
  ORRERY_CHECK(missing.empty() && unknown.empty(), file.source(), ":",
               missing.empty() ? "" : " missing tensors " + missing, missing.empty() || unknown.empty() ? "" : ";",
               unknown.empty() ? "" : " unknown tensors " + unknown);
  for (const NamedTensor& target : targets) file.load_into(target.name, target.value);
}

// Decoding and routing take a hash layer's experts out of the file as they are.
void check_hash_tables(const ParameterList& parameters, std::int64_t experts, const std::string& source) {
  for (const Parameter& item : parameters.all()) {
    if (item.value.dtype() != DType::i32) continue;
    for (const std::int32_t expert : item.value.span<std::int32_t>())
      ORRERY_CHECK(expert >= 0 && expert < experts, source, ": ", item.name, " names expert ", expert,
                   ", expected 0 to n_routed_experts - 1 = ", experts - 1);
  }
}

}  // namespace

void save_model(const Transformer& model, const std::string& folder, StoredAs stored, WeightNames names) {
  const std::filesystem::path path(folder);
  std::vector<Parameter> items;
  for (const Parameter& item : model.parameters().all()) {
    const std::vector<NamedTensor> parts =
        names == WeightNames::released ? expert_parts(item) : std::vector<NamedTensor>();
    for (const NamedTensor& part : parts) items.push_back({released_name(part.name), part.value, item.kind});
    if (!parts.empty()) continue;
    items.push_back({names == WeightNames::released ? released_name(item.name) : item.name, item.value, item.kind});
  }
  const std::vector<NamedTensor> tensors = stored_tensors(items, stored);
  std::vector<SafetensorsEntry> entries;
  for (const NamedTensor& item : tensors) entries.push_back(safetensors_entry(item.name, item.value));
  Json config = Json::parse(to_json(model.config()), "config.json");
  if (stored != StoredAs::int8) config.set("dtype", stored == StoredAs::bf16 ? "bfloat16" : "float32");
  write_file(path / "config.json", config.dump(2) + "\n");
  write_safetensors_folder(path, entries, {{"format", "pt"}});
}

Transformer load_model(const std::string& folder) {
  ModelConfig config = read_model_config((std::filesystem::path(folder) / "config.json").string());
  const TensorFile file = open_tensors(folder);
  FileNames names = file_names(file);
  const bool has_mtp =
      std::any_of(names.begin(), names.end(), [](const auto& name) { return name.first.starts_with("mtp."); });
  if (config.num_nextn_predict_layers > 0 && !has_mtp) {
    log_info(file.source() + " has no multi-token-prediction block");
    config.num_nextn_predict_layers = 0;
  }
  Transformer model(config, TransformerWeights::unfilled(config));
  load_weights(file, std::move(names), model.parameters());
  check_hash_tables(model.parameters(), config.n_routed_experts, file.source());
  return model;
}

}  // namespace orrery
