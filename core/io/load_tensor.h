// Tensors from and to safetensors entries, with the conversions between the file's dtypes and the engine's.
#pragma once

#include <string>

#include "core/io/safetensors.h"
#include "core/tensor/tensor.h"

namespace orrery {

/// A copy of the entry as a tensor on the CPU. Floating entries (F64 to F8) become f32 or bf16, rounded to nearest
/// even; integer entries and BOOL become i32 or i8. Throws InputError naming the tensor for other pairs, for integers
/// that do not fit, and for NaN or infinity.
Tensor load_tensor(const SafetensorsEntry& entry, DType dtype);

/// The entry for writing a tensor. It points into the tensor's memory, which must be contiguous, on the CPU, and
/// outlive the entry.
SafetensorsEntry safetensors_entry(std::string name, const Tensor& tensor);

}  // namespace orrery
