// Tensors and parameter lists in safetensors files; weights may be stored in fewer bits than they are held in.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/nn/parameters.h"

namespace orrery {

struct NamedTensor {
  std::string name;
  Tensor value;
};

/// Writes tensors as they are (contiguous copies where needed).
void save_tensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                  const std::map<std::string, std::string>& metadata = {});

class Safetensors;

/// An open file of tensors.
class TensorFile {
 public:
  explicit TensorFile(std::shared_ptr<const Safetensors> file) : file_(std::move(file)) {}
  bool has(const std::string& name) const;
  /// Copies a tensor into `target`, converting the dtype (f32, f16 and bf16 among each other, int8 with "name.scale" a
  /// row to f32). Throws InputError naming both shapes when they differ, or when it is missing or holds NaN or
  /// infinity.
  void load_into(const std::string& name, const Tensor& target) const;
  /// Throws InputError when there is no such key.
  std::string metadata(const std::string& key) const;
  std::vector<std::string> names() const;
  const std::string& source() const;

 private:
  std::shared_ptr<const Safetensors> file_;
};

TensorFile open_tensors(const std::string& path);

/// How a shipped model stores its matrices; vectors and buffers stay as they are.
enum class StoredAs { f32, bf16, int8 };

/// What a model's file holds for these parameters. int8: symmetric, one f32 scale a row ("name.scale"), matrices and
/// embeddings only.
std::vector<NamedTensor> stored_tensors(const std::vector<Parameter>& parameters, StoredAs stored);

/// Writes a model's parameters as stored_tensors gives them.
void save_parameters(const std::string& path, const ParameterList& parameters, StoredAs stored,
                     const std::map<std::string, std::string>& metadata = {});

/// Reads those parameters that the file has with the same name and shape; returns how many. For starting from another
/// run.
std::int64_t load_matching(const std::string& path, const ParameterList& parameters);

/// Reads every parameter. Missing and unknown tensors are all named in one InputError.
void load_parameters(const std::string& path, const ParameterList& parameters);

}  // namespace orrery
