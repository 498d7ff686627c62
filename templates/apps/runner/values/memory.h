// Tensors that share their memory with somebody outside of the program.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "values/value.h"

namespace runner {

// Where the elements of a dense tensor are.
struct Memory {
  void* data = nullptr;        // the first element; may be null if there is none
  std::string device = "cpu";  // or "cuda:0"
  Element element = Element::kFloat32;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  // in elements
};

// A tensor in that memory; release is called once, when nobody uses it any more, in whichever
// thread that is. If this throws, it was not called. Throws Error for a device or dtype that this
// libtorch does not have.
Tensor borrow(const Memory& memory, std::function<void()> release);

// A copy of that memory.
Tensor copy(const Memory& memory);

// The same with its elements one after the other in the CPU's memory; quantized ones as the numbers
// that they stand for. Sparse ones have no data.
Tensor readable(const Tensor& tensor);

// Where a kept tensor is; valid while it is. Throws Error (kUsage) for sparse and quantized ones,
// and for dtypes that are no Element.
Memory memory_of(const Tensor& tensor);

}  // namespace runner
