// Tensors from and for others, by DLPack.
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "failure.h"
#include "things.h"

namespace tsl_library {
namespace {

using runner::Element;
using runner::Memory;
using runner::Tensor;

struct Dtype {
  Element element;
  std::uint8_t code;
  std::uint8_t bits;
};

// The codes above 6 are those of DLPack 1.1.
const Dtype kDtypes[] = {
    {Element::kBool, kDLBool, 8},          {Element::kUInt8, kDLUInt, 8},
    {Element::kInt8, kDLInt, 8},           {Element::kUInt16, kDLUInt, 16},
    {Element::kInt16, kDLInt, 16},         {Element::kUInt32, kDLUInt, 32},
    {Element::kInt32, kDLInt, 32},         {Element::kUInt64, kDLUInt, 64},
    {Element::kInt64, kDLInt, 64},         {Element::kFloat16, kDLFloat, 16},
    {Element::kBFloat16, kDLBfloat, 16},   {Element::kFloat32, kDLFloat, 32},
    {Element::kFloat64, kDLFloat, 64},     {Element::kComplex32, kDLComplex, 32},
    {Element::kComplex64, kDLComplex, 64}, {Element::kComplex128, kDLComplex, 128},
    {Element::kFloat8E4M3FN, 10, 8},       {Element::kFloat8E4M3FNUZ, 11, 8},
    {Element::kFloat8E5M2, 12, 8},         {Element::kFloat8E5M2FNUZ, 13, 8},
    {Element::kFloat8E8M0FNU, 14, 8},
};

const std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
const std::int32_t kMostDimensions = 64;  // of torch's own loops

[[noreturn]] void refuse(const std::string& what) {
  throw Failure{TSL_BAD_ARGUMENT, "tensor: " + what};
}

Element element_of(const DLDataType& dtype) {
  const std::string shown = "code " + std::to_string(dtype.code) + ", " +
                            std::to_string(dtype.bits) + " bits, " + std::to_string(dtype.lanes) +
                            " lanes";
  if (dtype.lanes != 1) refuse("dtype (" + shown + "): torch has none with lanes");
  for (const Dtype& known : kDtypes) {
    if (known.code == dtype.code && known.bits == dtype.bits) return known.element;
  }
  refuse("dtype (" + shown + "): torch has none like it");
}

std::string device_of(const DLDevice& device) {
  const int type = static_cast<int>(device.device_type);
  if (type == kDLCPU || type == kDLCUDAHost) return "cpu";
  if (type == kDLCUDA && device.device_id >= 0) return "cuda:" + std::to_string(device.device_id);
  refuse("device type " + std::to_string(type) + ", number " + std::to_string(device.device_id) +
         ": known are the CPU (1), CUDA (2) and CUDA's memory of the host (3)");
}

std::int64_t times(std::int64_t left, std::int64_t right) {
  if (right != 0 && left > kMost / right) refuse("its shape has more elements than there can be");
  return left * right;
}

// Everything that can be known of a tensor without reading its elements is checked.
Memory checked(const DLTensor& tensor) {
  Memory memory;
  memory.element = element_of(tensor.dtype);
  memory.device = device_of(tensor.device);
  if (tensor.ndim < 0 || tensor.ndim > kMostDimensions) {
    refuse("it has " + std::to_string(tensor.ndim) + " dimensions, and 0 to " +
           std::to_string(kMostDimensions) + " are possible");
  }
  if (tensor.ndim > 0 && tensor.shape == nullptr) refuse("shape is NULL");
  const std::size_t dimensions = static_cast<std::size_t>(tensor.ndim);
  for (std::size_t i = 0; i < dimensions; ++i) {
    memory.shape.push_back(tensor.shape[i]);
    if (tensor.shape[i] >= 0) continue;
    refuse("shape[" + std::to_string(i) + "] is negative: " + std::to_string(tensor.shape[i]));
  }
  memory.strides.assign(dimensions, 1);
  std::int64_t count = 1;
  for (std::size_t i = dimensions; i-- > 0;) {
    memory.strides[i] = tensor.strides != nullptr ? tensor.strides[i] : count;
    if (memory.strides[i] < 0) {
      refuse("strides[" + std::to_string(i) +
             "] is negative, which torch does not have: " + std::to_string(memory.strides[i]));
    }
    count = times(count, memory.shape[i]);
  }
  const auto size = static_cast<std::int64_t>(runner::element_size(memory.element));
  std::int64_t last = 0;  // the offset of the last element
  for (std::size_t i = 0; i < dimensions && count > 0; ++i) {
    const std::int64_t step = times(memory.shape[i] - 1, memory.strides[i]);
    if (last > kMost / size - step - 1) refuse("its strides lead out of what memory there can be");
    last += step;
  }
  times(count, size);
  if (tensor.data == nullptr && count > 0) refuse("data is NULL");
  if (tensor.data != nullptr) memory.data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data);
  const auto part = static_cast<std::uintptr_t>(is_complex(memory.element) ? size / 2 : size);
  if (count > 0 && address % part != 0) {
    refuse("its elements are not aligned to " + std::to_string(part) + " bytes");
  }
  return memory;
}

void take(tsl_value* out, Tensor tensor) {
  const tsl_value number = hold(runner::make_tensor(std::move(tensor)));
  *out = number;
}

// Calls the deleter when nobody uses the tensor any more; not before it was taken.
template <typename Managed>
class Owner {
 public:
  explicit Owner(Managed* tensor) : tensor_(tensor) {}
  Owner(const Owner&) = delete;
  ~Owner() {
    if (taken && tensor_->deleter != nullptr) tensor_->deleter(tensor_);
  }
  bool taken = false;

 private:
  Managed* tensor_;
};

template <typename Managed>
void adopt(Managed* tensor, bool is_read_only, tsl_value* out) {
  const Memory memory = checked(tensor->dl_tensor);
  const auto owner = std::make_shared<Owner<Managed>>(tensor);
  take(out, is_read_only ? runner::copy(memory) : runner::borrow(memory, [owner] { (void)owner; }));
  owner->taken = true;
}

const Tensor& tensor_in(const Held& held) {
  if (held.value->kind == runner::Value::Kind::kTensor) return *held.value->tensor;
  throw Failure{TSL_BAD_ARGUMENT, std::string("the value is wanted as a tensor, but of the kind ") +
                                      runner::kind_name(held.value->kind)};
}

DLTensor describe(Memory* memory) {
  DLTensor tensor;
  std::memset(&tensor, 0, sizeof(tensor));
  tensor.data = memory->data;
  const bool on_cpu = memory->device == "cpu";
  if (!on_cpu && memory->device.compare(0, 5, "cuda:") != 0) {
    throw Failure{TSL_BAD_ARGUMENT,
                  "DLPack's number for the device " + memory->device + " is not known here"};
  }
  tensor.device.device_type = on_cpu ? kDLCPU : kDLCUDA;
  tensor.device.device_id = on_cpu ? 0 : std::stoi(memory->device.substr(5));
  tensor.ndim = static_cast<std::int32_t>(memory->shape.size());
  tensor.shape = memory->shape.data();
  tensor.strides = memory->strides.data();
  for (const Dtype& known : kDtypes) {
    if (known.element != memory->element) continue;
    tensor.dtype.code = known.code;
    tensor.dtype.bits = known.bits;
  }
  tensor.dtype.lanes = 1;
  return tensor;
}

// What is given away: the tensor and what it lives from.
template <typename Managed>
struct Given {
  std::shared_ptr<const runner::Value> value;
  Memory memory;
  Managed managed;
};

template <typename Managed>
std::unique_ptr<Given<Managed>> give(tsl_value value) {
  const auto held = find_value(value);
  std::unique_ptr<Given<Managed>> given(new Given<Managed>());
  given->memory = runner::memory_of(tensor_in(*held));
  given->value = held->value;
  given->managed.dl_tensor = describe(&given->memory);
  given->managed.manager_ctx = given.get();
  given->managed.deleter = [](Managed* managed) {
    if (managed != nullptr) delete static_cast<Given<Managed>*>(managed->manager_ctx);
  };
  return given;
}

}  // namespace
}  // namespace tsl_library

using namespace tsl_library;

int tsl_tensor(const DLTensor* tensor, tsl_value* value) {
  return guarded([&] {
    given(value, "value");
    take(value, runner::copy(checked(*given(tensor, "tensor"))));
  });
}

int tsl_tensor_copy(const void* data, const char* dtype, const int64_t* shape, size_t dimensions,
                    tsl_value* value) {
  return guarded([&] {
    given(value, "value");
    Element element = Element::kFloat32;
    if (!runner::find_element(given(dtype, "dtype"), &element)) {
      refuse(std::string("there is no dtype \"") + dtype + "\"; torch's names are meant: float32");
    }
    DLTensor tensor;
    std::memset(&tensor, 0, sizeof(tensor));
    tensor.data = const_cast<void*>(data);
    tensor.device.device_type = kDLCPU;
    tensor.ndim = dimensions > static_cast<std::size_t>(kMostDimensions)
                      ? kMostDimensions + 1
                      : static_cast<std::int32_t>(dimensions);
    tensor.shape = const_cast<std::int64_t*>(shape);
    for (const Dtype& known : kDtypes) {
      if (known.element == element) tensor.dtype = DLDataType{known.code, known.bits, 1};
    }
    take(value, runner::copy(checked(tensor)));
  });
}

int tsl_from_dlpack(DLManagedTensor* tensor, tsl_value* value) {
  return guarded([&] {
    given(value, "value");
    adopt(given(tensor, "tensor"), false, value);
  });
}

int tsl_from_dlpack_versioned(DLManagedTensorVersioned* tensor, tsl_value* value) {
  return guarded([&] {
    given(value, "value");
    if (given(tensor, "tensor")->version.major != 1) {
      refuse("it has version " + std::to_string(tensor->version.major) +
             " of DLPack; this library knows version 1");
    }
    adopt(tensor, (tensor->flags & DLPACK_FLAG_BITMASK_READ_ONLY) != 0, value);
  });
}

int tsl_view(tsl_value value, DLTensor* view) {
  return guarded([&] {
    given(view, "view");
    const auto held = find_value(value);
    const std::lock_guard<std::mutex> lock(held->mutex);
    if (!held->memory) held->memory.reset(new Memory(runner::memory_of(tensor_in(*held))));
    *view = describe(held->memory.get());
  });
}

int tsl_read(tsl_value value, void* data, size_t bytes) {
  return guarded([&] {
    const auto held = find_value(value);
    const Tensor& tensor = tensor_in(*held);
    const Tensor plain = tensor.data ? tensor : runner::readable(tensor);
    if (!plain.data && plain.count() > 0) {
      throw Failure{TSL_BAD_ARGUMENT, "the tensor " + runner::describe(plain) +
                                          " has no elements that lie one after the other"};
    }
    if (plain.bytes() != bytes) {
      throw Failure{TSL_BAD_ARGUMENT, "bytes is " + std::to_string(bytes) + ", but the tensor " +
                                          runner::describe(plain) + " has " +
                                          std::to_string(plain.bytes())};
    }
    if (bytes > 0) std::memcpy(given(data, "data"), plain.data.get(), bytes);
  });
}

int tsl_to_dlpack(tsl_value value, DLManagedTensor** tensor) {
  return guarded([&] {
    given(tensor, "tensor");
    *tensor = &give<DLManagedTensor>(value).release()->managed;
  });
}

int tsl_to_dlpack_versioned(tsl_value value, DLManagedTensorVersioned** tensor) {
  return guarded([&] {
    given(tensor, "tensor");
    auto made = give<DLManagedTensorVersioned>(value);
    made->managed.version.major = 1;
    made->managed.version.minor = 0;
    *tensor = &made.release()->managed;
  });
}
