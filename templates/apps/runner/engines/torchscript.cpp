#include "runtime.h"

// Fewer headers behind the ones below: without it they include every operator there is.
#if __has_include(<ATen/ops/empty.h>)
#define AT_PER_OPERATOR_HEADERS
#endif

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/ivalue.h>
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/error_report.h>
#include <torch/csrc/jit/runtime/print_handler.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#ifdef AT_PER_OPERATOR_HEADERS
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#else
#include <ATen/Functions.h>
#endif

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <iterator>
#include <sstream>
#include <thread>

#include "archive.h"
#include "error.h"
#include "npy.h"
#include "pickle.h"
#include "platform.h"

namespace torch {
namespace jit {
// From torch/csrc/jit/serialization/pickle.h, which brings the compiler of TorchScript along.
TORCH_API c10::IValue pickle_load(const std::vector<char>& data);
}  // namespace jit
}  // namespace torch

#define TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) ||  \
   (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

#if TORCH_AT_LEAST(1, 9)
#include <c10/core/InferenceMode.h>
#else
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/passes/frozen_graph_optimizations.h>
#endif
#if TORCH_AT_LEAST(1, 11)
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#endif

namespace runner {
namespace {

using c10::IValue;
using c10::TypeKind;
using c10::TypePtr;
using Stack = std::vector<IValue>;

#if TORCH_AT_LEAST(1, 9)
using InferenceGuard = c10::InferenceMode;
#else
struct InferenceGuard {
  at::AutoNonVariableTypeMode dispatch{true};
  at::NoGradGuard no_grad;
};
#endif

// ---- Messages -----------------------------------------------------------------------------------

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

// Streamed into an ErrorReport, takes out what it already holds.
struct Peek {
  std::string* text;
};

std::ostream& operator<<(std::ostream& out, const Peek& peek) {
  const auto* buffer = dynamic_cast<const std::stringstream*>(&out);
  if (buffer != nullptr) *peek.text = buffer->str();
  return out;
}

// The text of an exception without C++ stack. Old releases throw some that are no c10::Error.
std::string message_of(const std::exception& exception) {
  if (const auto* report = dynamic_cast<const torch::jit::ErrorReport*>(&exception)) {
    // Its what() adds the place in the model's source. It does not throw, so the program would end
    // if libtorch could not read that: 1.8 cannot for models of 1.10 and later.
    std::string text;
    *report << Peek{&text};
    if (!text.empty()) return text;
  }
  const auto* error = dynamic_cast<const c10::Error*>(&exception);
  std::string text = error != nullptr ? error->what_without_backtrace() : exception.what();
  return text.substr(0, text.find("\nException raised from"));
}

// The line that says what is wrong. The interpreter puts tracebacks of the model's code, which are
// indented, before it.
std::string essential_line(const std::string& message) {
  const std::size_t traceback = message.rfind("\nTraceback of TorchScript");
  std::size_t at = traceback == std::string::npos ? 0 : message.find('\n', traceback + 1);
  std::string first;
  std::istringstream lines(at == std::string::npos ? message : message.substr(at));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == ' ' || line[0] == '~') continue;
    first = line;
    break;
  }
  if (first.empty()) first = message.substr(0, message.find('\n'));
  for (const char* prefix : {"RuntimeError: ", "builtins."}) {
    if (starts_with(first, prefix)) first = first.substr(std::strlen(prefix));
  }
  return first.substr(0, first.find(". This could be because"));  // a list of all backends
}

std::string token_after(const std::string& text, const std::string& marker) {
  const std::size_t at = text.find(marker);
  if (at == std::string::npos) return std::string();
  const std::size_t start = at + marker.size();
  std::string token = text.substr(start, text.find_first_of(" \n\r,;'\"", start) - start);
  while (!token.empty() && (token.back() == '.' || token.back() == ':')) token.pop_back();
  return token;
}

Error load_error(const std::string& path, const std::exception& exception) {
  const std::string message = message_of(exception);
  const std::string op = token_after(message, "Unknown builtin op: ");
  if (!op.empty()) {
    const std::string space = op.substr(0, op.find(':'));
    const std::string what = path + ": unknown operator " + op;
    if (space == "aten" || space == "prim") {
      return Error(kModelNotLoaded,
                   what + " (libtorch " + libtorch_version() + " does not have it)",
                   "export the model with an older torch, or use a newer libtorch");
    }
    return Error(kModelNotLoaded, what + ": no library with namespace " + space + " is loaded",
                 "link the operator library of namespace " + space +
                     " into the program, or pass it with --ops FILE");
  }
  const std::string class_name = token_after(message, "__torch__.torch.classes.");
  if (!class_name.empty() && message.find("Unknown type name") != std::string::npos) {
    return Error(kModelNotLoaded, path + ": unknown class torch.classes." + class_name,
                 "link the operator library that registers it, or pass it with --ops FILE");
  }
  const Diagnosis diagnosis = why_not_torchscript(read_archive(path));
  if (!diagnosis.message.empty()) {
    return Error(kModelNotLoaded, path + " is not a TorchScript model: " + diagnosis.message,
                 diagnosis.hint);
  }
  if (message.find("maximum supported version") != std::string::npos) {
    return Error(kModelNotLoaded, path + ": " + essential_line(message),
                 "this program uses libtorch " + libtorch_version() +
                     ": use a newer one, or export the model with an older torch");
  }
  const bool newer = message.find("Unknown type name") != std::string::npos;
  return Error(kModelNotLoaded, path + " cannot be loaded: " + essential_line(message),
               newer ? "the model may come from a newer torch than this program's libtorch " +
                           libtorch_version()
                     : "");
}

// ---- Dtypes -------------------------------------------------------------------------------------

struct Dtype {
  const char* name;
  at::ScalarType type;
};

const Dtype kDtypes[] = {
    {"float32", at::kFloat},
    {"float64", at::kDouble},
    {"float16", at::kHalf},
    {"bfloat16", at::kBFloat16},
    {"uint8", at::kByte},
    {"int8", at::kChar},
    {"int16", at::kShort},
    {"int32", at::kInt},
    {"int64", at::kLong},
    {"bool", at::kBool},
    {"complex32", at::ScalarType::ComplexHalf},
    {"complex64", at::kComplexFloat},
    {"complex128", at::kComplexDouble},
    {"qint8", at::kQInt8},
    {"quint8", at::kQUInt8},
    {"qint32", at::kQInt32},
#if TORCH_AT_LEAST(2, 1)
    {"float8_e4m3fn", at::ScalarType::Float8_e4m3fn},
    {"float8_e5m2", at::ScalarType::Float8_e5m2},
#endif
#if TORCH_AT_LEAST(2, 2)
    {"float8_e4m3fnuz", at::ScalarType::Float8_e4m3fnuz},
    {"float8_e5m2fnuz", at::ScalarType::Float8_e5m2fnuz},
#endif
#if TORCH_AT_LEAST(2, 3)
    {"uint16", at::ScalarType::UInt16},
    {"uint32", at::ScalarType::UInt32},
    {"uint64", at::ScalarType::UInt64},
#endif
};

std::string dtype_name(at::ScalarType type) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.type == type) return dtype.name;
  }
  return c10::toString(type);
}

at::ScalarType scalar_type(const std::string& name) {
  for (const Dtype& dtype : kDtypes) {
    if (name == dtype.name) return dtype.type;
  }
  throw Error(kUsage, "libtorch " + libtorch_version() + " has no dtype " + name);
}

const Element kElements[] = {
    Element::kBool,    Element::kUInt8,     Element::kInt8,       Element::kUInt16,
    Element::kInt16,   Element::kUInt32,    Element::kInt32,      Element::kUInt64,
    Element::kInt64,   Element::kFloat16,   Element::kBFloat16,   Element::kFloat32,
    Element::kFloat64, Element::kComplex64, Element::kComplex128,
};

// ---- From torch ---------------------------------------------------------------------------------

Tensor from_torch(at::Tensor tensor) {
  Tensor result;
  result.dtype = dtype_name(tensor.scalar_type());
  if (tensor.is_quantized()) {
    tensor = tensor.dequantize();
  } else if (tensor.layout() != c10::kStrided) {
    tensor = tensor.to_dense();
  }
  tensor = tensor.detach().cpu();
#if TORCH_AT_LEAST(1, 11)
  tensor = tensor.resolve_conj().resolve_neg();
#elif TORCH_AT_LEAST(1, 10)
  tensor = tensor.resolve_conj();
#endif
  std::string stored = dtype_name(tensor.scalar_type());
  const auto is_stored = [&stored](Element element) { return stored == element_name(element); };
  const Element* element = std::find_if(std::begin(kElements), std::end(kElements), is_stored);
  if (element == std::end(kElements)) {  // a dtype that is shown as a wider one
    tensor = tensor.to(tensor.is_complex() ? at::kComplexFloat : at::kFloat);
    stored = dtype_name(tensor.scalar_type());
    element = std::find_if(std::begin(kElements), std::end(kElements), is_stored);
  }
  tensor = tensor.contiguous();
  result.element = *element;
  result.shape = tensor.sizes().vec();
  const auto owner = std::make_shared<at::Tensor>(tensor);
  result.data = std::shared_ptr<const void>(owner, owner->data_ptr());
  return result;
}

Value from_torch(const IValue& value) {
  using Kind = Value::Kind;
  Value result;
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    return tensor.defined() ? make_tensor(from_torch(tensor)) : Value();
  } else if (value.isNone()) {
    result.kind = Kind::kNone;
  } else if (value.isBool()) {
    result.kind = Kind::kBool;
    result.integer = value.toBool() ? 1 : 0;
  } else if (value.isInt()) {
    result.kind = Kind::kInt;
    result.integer = value.toInt();
  } else if (value.isDouble()) {
    result.kind = Kind::kFloat;
    result.real = value.toDouble();
  } else if (value.isComplexDouble()) {
    result.kind = Kind::kComplex;
    result.real = value.toComplexDouble().real();
    result.imaginary = value.toComplexDouble().imag();
  } else if (value.isString()) {
    result.kind = Kind::kString;
    result.text = value.toStringRef();
  } else if (value.isDevice()) {
    result.kind = Kind::kString;
    result.text = value.toDevice().str();
  } else if (value.isTuple()) {
    result.kind = Kind::kTuple;
    const auto tuple = value.toTuple();
    for (const IValue& item : tuple->elements()) result.items.push_back(from_torch(item));
    const auto type = tuple->type();
    if (type->schema()) {
      for (const auto& field : type->schema()->arguments()) result.names.push_back(field.name());
    }
  } else if (value.isList()) {
    result.kind = Kind::kList;
    const auto list = value.toList();
    for (std::size_t i = 0; i < list.size(); ++i) result.items.push_back(from_torch(list.get(i)));
  } else if (value.isGenericDict()) {
    result.kind = Kind::kDict;
    for (const auto& entry : value.toGenericDict()) {
      result.items.push_back(from_torch(entry.key()));
      result.items.push_back(from_torch(entry.value()));
    }
  } else if (value.isFuture()) {
    value.toFuture()->wait();
    return from_torch(value.toFuture()->value());
  } else {
    result.kind = Kind::kOther;
    result.text = value.type()->annotation_str();
  }
  return result;
}

// ---- To torch -----------------------------------------------------------------------------------

at::Tensor to_torch(const Tensor& tensor) {
  const auto owner = tensor.data;
  return at::from_blob(
      const_cast<void*>(owner.get()), tensor.shape, [owner](void*) {},
      at::TensorOptions().dtype(scalar_type(tensor.dtype)));
}

at::Tensor make_filled(const InputSpec& spec) {
  const bool whole = spec.kind == InputSpec::Kind::kRandint;
  const auto dtype =
      spec.dtype.empty() ? (whole ? at::kLong : at::kFloat) : scalar_type(spec.dtype);
  const auto options = at::TensorOptions().dtype(dtype);
  switch (spec.kind) {
    case InputSpec::Kind::kOnes:
      return at::empty(spec.shape, options).fill_(1);
    case InputSpec::Kind::kZeros:
      return at::empty(spec.shape, options).zero_();
    case InputSpec::Kind::kFull:
      return at::empty(spec.shape, options).fill_(spec.real);
    case InputSpec::Kind::kRand:  // these three do what torch.rand, randn and randint do inside
      return at::empty(spec.shape, options).uniform_(0, 1);
    case InputSpec::Kind::kRandn:
      return at::empty(spec.shape, options).normal_(0, 1);
    case InputSpec::Kind::kRandint:
      return at::empty(spec.shape, options).random_(0, spec.integer);
    default: {
      std::int64_t count = 1;
      for (std::int64_t size : spec.shape) count *= size;
      return at::arange(count, at::TensorOptions().dtype(at::kLong)).reshape(spec.shape).to(dtype);
    }
  }
}

IValue read_pt_ivalue(const std::string& path) {
  File file = open_file(path);
  if (!file) throw Error(kUsage, path + ": " + std::strerror(errno));
  std::vector<char> bytes(static_cast<std::size_t>(file_size(file.get())));
  if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
    throw Error(kUsage, path + ": cannot be read");
  }
  try {
    return torch::jit::pickle_load(bytes);
  } catch (const std::exception& exception) {
    const Archive archive = read_archive(path);
    if (archive.state != Archive::State::kZip) {
      throw Error(kUsage, path + " is not a .pt file: " + why_not_torchscript(archive).message);
    }
    if (archive.is_torchscript()) {
      throw Error(kUsage, path + " is a TorchScript model, not a file with inputs or outputs");
    }
    throw Error(
        kUsage, path + " cannot be read: " + essential_line(message_of(exception)),
        "write it with torch.save, of tensors, tuples, lists, dicts, numbers, strings, None");
  }
}

c10::List<IValue> any_list(const std::vector<IValue>& items) {
  c10::impl::GenericList list(c10::AnyType::get());
  for (const IValue& item : items) list.push_back(item);
  return list;
}

IValue to_torch(const InputSpec& spec) {
  using Kind = InputSpec::Kind;
  switch (spec.kind) {
    case Kind::kNone:
      return IValue();
    case Kind::kBool:
      return IValue(spec.integer != 0);
    case Kind::kInt:
      return IValue(spec.integer);
    case Kind::kFloat:
      return IValue(spec.real);
    case Kind::kString:
      return IValue(spec.text);
    case Kind::kNpyFile:
      return IValue(to_torch(read_npy(spec.text)));
    case Kind::kPtFile:
    case Kind::kArgsFile:
      return read_pt_ivalue(spec.text);
    case Kind::kList:
    case Kind::kTuple: {
      std::vector<IValue> items;
      for (const InputSpec& item : spec.items) items.push_back(to_torch(item));
      if (spec.kind == Kind::kTuple) return IValue(c10::ivalue::Tuple::create(std::move(items)));
      return IValue(any_list(items));
    }
    default:
      break;
  }
  try {
    return IValue(make_filled(spec));
  } catch (const c10::Error& error) {
    throw Error(kUsage, "--input " + spec.source + ": " + essential_line(message_of(error)));
  }
}

// ---- Schemas ------------------------------------------------------------------------------------

std::string schema_text(const torch::jit::Function& function) {
  const c10::FunctionSchema& schema = function.getSchema();
  std::ostringstream text;
  text << function.name() << '(';
  const auto& arguments = schema.arguments();
  for (std::size_t i = 1; i < arguments.size(); ++i) {  // the first one is self
    if (i > 1) text << ", ";
    text << arguments[i].type()->annotation_str() << ' ' << arguments[i].name();
    if (arguments[i].default_value()) text << '=' << *arguments[i].default_value();
  }
  text << ") -> ";
  const auto& returns = schema.returns();
  if (returns.size() != 1) text << '(';
  for (std::size_t i = 0; i < returns.size(); ++i) {
    if (i > 0) text << ", ";
    text << returns[i].type()->annotation_str();
  }
  if (returns.size() != 1) text << ')';
  return text.str();
}

std::string describe_value(const IValue& value) {
  if (value.isTensor() && value.toTensor().defined()) {
    const at::Tensor& tensor = value.toTensor();
    Tensor shape_only;
    shape_only.dtype = dtype_name(tensor.scalar_type());
    shape_only.shape = tensor.sizes().vec();
    return describe(shape_only);
  }
  if (value.isNone()) return "None";
  return value.type()->annotation_str();
}

// What Python does when it calls a TorchScript method: gives lists, dicts and tuples the element
// types that the schema asks for, and takes an int where a float is wanted. What does not fit stays
// as it is, and is found by the check that follows.
IValue coerce(const IValue& value, const TypePtr& type, const at::Device& device) {
  switch (type->kind()) {
    case TypeKind::OptionalType:
      if (value.isNone()) return value;
      return coerce(value, type->containedTypes().at(0), device);
    case TypeKind::FloatType:
      return value.isInt() ? IValue(static_cast<double>(value.toInt())) : value;
    case TypeKind::DeviceObjType:
      return value.isString() ? IValue(c10::Device(value.toStringRef())) : value;
    case TypeKind::ListType: {
      if (!value.isList()) return value;
      const TypePtr element_type = type->containedTypes().at(0);
      c10::impl::GenericList list(element_type);
      const auto items = value.toList();
      for (std::size_t i = 0; i < items.size(); ++i) {
        const IValue item = coerce(items.get(i), element_type, device);
        if (!item.type()->isSubtypeOf(element_type)) return value;
        list.push_back(item);
      }
      return IValue(std::move(list));
    }
    case TypeKind::DictType: {
      if (!value.isGenericDict()) return value;
      const TypePtr key_type = type->containedTypes().at(0);
      const TypePtr value_type = type->containedTypes().at(1);
      c10::impl::GenericDict dict(key_type, value_type);
      for (const auto& entry : value.toGenericDict()) {
        const IValue key = coerce(entry.key(), key_type, device);
        const IValue item = coerce(entry.value(), value_type, device);
        if (!key.type()->isSubtypeOf(key_type) || !item.type()->isSubtypeOf(value_type)) {
          return value;
        }
        dict.insert(key, item);
      }
      return IValue(std::move(dict));
    }
    case TypeKind::TupleType: {
      if (!value.isTuple()) return value;
      const auto tuple = value.toTuple();
      const auto types = type->containedTypes();
      if (types.size() != tuple->elements().size()) return value;
      std::vector<IValue> items;
      for (std::size_t i = 0; i < types.size(); ++i) {
        items.push_back(coerce(tuple->elements()[i], types[i], device));
      }
      const auto tuple_type = type->cast<c10::TupleType>();
      if (tuple_type->schema()) {
        return IValue(c10::ivalue::Tuple::createNamed(std::move(items), tuple_type));
      }
      return IValue(c10::ivalue::Tuple::create(std::move(items)));
    }
    default:
      return value;
  }
}

// A copy with every tensor on the device.
IValue to_device(const IValue& value, const at::Device& device) {
  if (value.isTensor()) {
    return value.toTensor().defined() ? IValue(value.toTensor().to(device)) : value;
  }
  if (value.isTuple()) {
    std::vector<IValue> items;
    const auto tuple = value.toTuple();
    for (const IValue& item : tuple->elements()) items.push_back(to_device(item, device));
    return IValue(c10::ivalue::Tuple::create(std::move(items)));
  }
  if (value.isList()) {
    const auto items = value.toList();
    c10::impl::GenericList list(items.elementType());
    for (std::size_t i = 0; i < items.size(); ++i) list.push_back(to_device(items.get(i), device));
    return IValue(std::move(list));
  }
  if (value.isGenericDict()) {
    const auto entries = value.toGenericDict();
    c10::impl::GenericDict dict(entries.keyType(), entries.valueType());
    for (const auto& entry : entries) {
      const IValue item = to_device(entry.value(), device);
      dict.insert(entry.key(), item);
    }
    return IValue(std::move(dict));
  }
  return value;
}

// ---- Devices ------------------------------------------------------------------------------------

at::Device parse_device(const std::string& text) {
  at::Device device(at::kCPU);
  try {
    device = at::Device(text);
  } catch (const c10::Error&) {
    throw Error(kUsage, "--device " + text + ": not a device (cpu, cuda, cuda:1 ...)");
  }
  if (device.is_cuda()) {
    const LibtorchInfo info = libtorch_info();
    if (!info.cuda_built) {
      throw Error(kDeviceUnavailable,
                  "--device " + text + ": this program was built with a libtorch without CUDA",
                  "use --device cpu, or build with a CUDA libtorch (and link torch_cuda)");
    }
    if (info.cuda_devices == 0) {
      throw Error(kDeviceUnavailable, "--device " + text + ": no CUDA device or driver was found",
                  "nvidia-smi shows what the driver sees");
    }
    if (device.has_index() && device.index() >= info.cuda_devices) {
      throw Error(kDeviceUnavailable, "--device " + text + ": there are only " +
                                          std::to_string(info.cuda_devices) + " CUDA devices");
    }
    // "cuda" would be the current device of each thread
    if (!device.has_index()) device = at::Device(at::kCUDA, 0);
  } else if (!device.is_cpu()) {
    try {
      at::empty({1}, at::TensorOptions().device(device));
    } catch (const std::exception& exception) {
      throw Error(kDeviceUnavailable,
                  "--device " + text + ": " + essential_line(message_of(exception)));
    }
  }
  return device;
}

// Waits until the device has done what the calling thread asked for.
void synchronize(const at::Device& device) {
  if (device.is_cpu()) return;
#if TORCH_AT_LEAST(1, 11)
  c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
#else
  at::empty({1}, at::TensorOptions().device(device)).item();
#endif
}

// ---- Loading ------------------------------------------------------------------------------------

// libtorch opens files by narrow names, which on Windows cannot be all names.
class FileReader final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit FileReader(File file) : file_(std::move(file)), size_(file_size(file_.get())) {}

  std::size_t size() const override { return static_cast<std::size_t>(size_); }

  std::size_t read(std::uint64_t position, void* buffer, std::size_t n,
                   const char*) const override {
    const std::size_t count =
        seek(file_.get(), position) ? std::fread(buffer, 1, n, file_.get()) : 0;
#if !TORCH_AT_LEAST(2, 0)
    hide_debug_files(static_cast<char*>(buffer), count);
#endif
    return count;
  }

 private:
#if !TORCH_AT_LEAST(2, 0)
  // What load_debug_files=false does from 2.0 on: without the records NAME.debug_pkl errors come
  // without places in the Python source, which are not shown anyway. Before 1.11 libtorch cannot
  // read those of newer releases, and then reports that instead of the error.
  static void hide_debug_files(char* data, std::size_t size) {
    static const char kSuffix[] = ".py.debug_pkl";
    char* const end = data + size;
    char* at = data;
    while ((at = std::search(at, end, kSuffix, kSuffix + sizeof(kSuffix) - 1)) != end) {
      std::memcpy(at, ".py.unused_pk", sizeof(kSuffix) - 1);
    }
  }
#endif

  File file_;
  std::uint64_t size_;
};

torch::jit::Module load(const std::string& path, const at::Device& device) {
  File file = open_file(path);
  if (!file) {
    throw Error(kModelNotLoaded, "cannot open the model " + path + ": " + std::strerror(errno));
  }
  try {
    std::unique_ptr<FileReader> reader(new FileReader(std::move(file)));
#if TORCH_AT_LEAST(2, 0)
    auto module = torch::jit::load(std::move(reader), device, /*load_debug_files=*/false);
#else
    auto module = torch::jit::load(std::move(reader), device);
#endif
    module.eval();
    return module;
  } catch (const std::exception& exception) {
    throw load_error(path, exception);
  }
}

torch::jit::Module prepare(torch::jit::Module module, const LoadOptions& options) {
#if !TORCH_AT_LEAST(1, 10)
  if (options.optimize) {
    throw Error(kUsage, "--optimize needs libtorch 1.10 or newer; this is " + libtorch_version());
  }
#endif
  try {
    if (options.freeze || options.optimize) {
      std::vector<std::string> kept;
      if (options.method != "forward") kept.push_back(options.method);
#if TORCH_AT_LEAST(1, 9)
      module = torch::jit::freeze(module, kept);
#else  // where freeze() takes only modules that are NOT in evaluation mode, by mistake
      module = torch::jit::freeze_module(module, kept);
      auto graph = module.get_method(options.method).graph();
      torch::jit::OptimizeFrozenGraph(graph);
#endif
    }
#if TORCH_AT_LEAST(1, 10)
    if (options.optimize) {
#if TORCH_AT_LEAST(1, 11)
      std::vector<std::string> others;
      if (options.method != "forward") others.push_back(options.method);
      module = torch::jit::optimize_for_inference(module, others);
#else
      module = torch::jit::optimize_for_inference(module);
#endif
    }
#endif
  } catch (const std::exception& exception) {
    throw Error(kModelNotLoaded, std::string(options.optimize ? "--optimize" : "--freeze") +
                                     " failed: " + essential_line(message_of(exception)));
  }
  return module;
}

void add_tensor(const at::Tensor& tensor, TensorTotals* totals) {
  if (!tensor.defined()) return;
  totals->tensors += 1;
  totals->elements += tensor.numel();
  totals->bytes += tensor.numel() * static_cast<std::int64_t>(tensor.element_size());
}

// What Module::parameters() and buffers() list, without their iterators, which compile slowly.
void add_tensors(const c10::ivalue::Object& object, ModelInfo* info) {
  const auto type = object.type();
  for (std::size_t i = 0; i < type->numAttributes(); ++i) {
    const IValue& value = object.getSlot(i);
    if (type->getAttribute(i)->is_module()) {
      add_tensors(*value.toObject(), info);
    } else if (value.isTensor() && type->is_parameter(i)) {
      add_tensor(value.toTensor(), &info->parameters);
    } else if (type->is_buffer(i) && type->getAttribute(i)->isSubtypeOf(c10::TensorType::get())) {
      add_tensor(value.toTensor(), &info->buffers);
    }
  }
}

}  // namespace

// ---- Model --------------------------------------------------------------------------------------

struct Model::Impl {
  at::Device device{at::kCPU};
  torch::jit::Module module;
  torch::jit::Function* function = nullptr;
  Stack arguments;  // the module itself, then the inputs

  std::string schema_hint() const { return "schema: " + schema_text(*function); }

  [[noreturn]] void reject(const std::string& what) const {
    throw Error(kUsage, function->name() + "() " + what, schema_hint());
  }

  IValue fit(const c10::Argument& argument, const IValue& value) const {
    IValue fitted;
    try {
      fitted = coerce(value, argument.type(), device);
    } catch (const c10::Error& error) {  // a string that is no device
      reject("argument '" + argument.name() + "': " + essential_line(message_of(error)));
    }
    const bool fits = fitted.isTensor() ? fitted.type()->isSubtypeOf(argument.type()) ||
                                              c10::TensorType::get()->isSubtypeOf(argument.type())
                                        : fitted.type()->isSubtypeOf(argument.type());
    if (!fits) {
      reject("argument '" + argument.name() + "' must be " + argument.type()->annotation_str() +
             ", not " + describe_value(value));
    }
    return device.is_cpu() ? fitted : to_device(fitted, device);
  }

  void call(Stack& stack) const {
    stack.assign(arguments.begin(), arguments.end());
    function->run(stack);
  }

  // The failure of a call, with what the method was given.
  Error run_error(const std::exception& exception) const {
    std::string inputs;
    const auto& names = function->getSchema().arguments();
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      inputs += (i > 1 ? ", " : "; called with ") + names[i].name() + " = " +
                describe_value(arguments[i]);
    }
    return Error(kRunFailed,
                 function->name() + "() failed: " + essential_line(message_of(exception)),
                 schema_hint() + inputs);
  }
};

Model::Model(const std::string& path, const LoadOptions& options) : impl_(new Impl) {
  impl_->device = parse_device(options.device);
  impl_->module = load(path, impl_->device);
  if (impl_->module.type()->findMethod(options.method) == nullptr) {
    std::string known;
    for (const torch::jit::Function* method : impl_->module.type()->methods()) {
      known += (known.empty() ? "" : ", ") + method->name();
    }
    throw Error(kUsage, path + ": the model has no method " + options.method,
                known.empty() ? "" : "its methods: " + known);
  }
  impl_->module = prepare(std::move(impl_->module), options);
  impl_->function = impl_->module.type()->findMethod(options.method);
  impl_->arguments = {impl_->module._ivalue()};
}

Model::~Model() = default;
Model::Model(Model&&) noexcept = default;

void Model::set_inputs(const std::vector<InputSpec>& inputs) {
  const auto& parameters = impl_->function->getSchema().arguments();
  Stack positional = {impl_->module._ivalue()};
  std::vector<std::pair<std::string, IValue>> named;
  for (const InputSpec& input : inputs) {
    IValue value = to_torch(input);
    if (input.kind == InputSpec::Kind::kArgsFile) {
      if (!value.isTuple()) {
        throw Error(kUsage, "--input " + input.source + ": the file must hold a tuple, not " +
                                describe_value(value));
      }
      if (positional.size() > 1) {
        throw Error(kUsage, "--input " + input.source +
                                ": supplies all positional arguments, "
                                "but there are others");
      }
      const auto tuple = value.toTuple();
      for (const IValue& item : tuple->elements()) positional.push_back(item);
    } else if (input.name.empty()) {
      positional.push_back(std::move(value));
    } else {
      named.emplace_back(input.name, std::move(value));
    }
  }

  if (positional.size() > parameters.size()) {
    impl_->reject("takes " + std::to_string(parameters.size() - 1) + " inputs, but got " +
                  std::to_string(positional.size() - 1));
  }
  Stack arguments = {positional[0]};
  for (std::size_t i = 1; i < parameters.size(); ++i) {
    const c10::Argument& parameter = parameters[i];
    const auto is_this = [&parameter](const std::pair<std::string, IValue>& candidate) {
      return candidate.first == parameter.name();
    };
    const auto given = std::find_if(named.begin(), named.end(), is_this);
    if (i < positional.size()) {
      if (given != named.end())
        impl_->reject("got two inputs for argument '" + parameter.name() + "'");
      arguments.push_back(impl_->fit(parameter, positional[i]));
    } else if (given != named.end()) {
      arguments.push_back(impl_->fit(parameter, given->second));
      named.erase(given);
      if (std::any_of(named.begin(), named.end(), is_this)) {
        impl_->reject("got two inputs for argument '" + parameter.name() + "'");
      }
    } else if (parameter.default_value()) {
      arguments.push_back(*parameter.default_value());
    } else {
      impl_->reject("needs an input for argument '" + parameter.name() + "'");
    }
  }
  if (!named.empty()) impl_->reject("has no argument '" + named[0].first + "'");
  impl_->arguments = std::move(arguments);
}

Value Model::run() {
  InferenceGuard guard;
  Stack stack;
  try {
    impl_->call(stack);
    return from_torch(stack.back());
  } catch (const std::exception& exception) {
    throw impl_->run_error(exception);
  }
}

BenchmarkResult Model::benchmark(const BenchmarkOptions& options) {
  using Clock = std::chrono::steady_clock;
  struct Worker {
    std::vector<double> milliseconds;
    Clock::time_point start;
    Clock::time_point end;
    std::exception_ptr failure;
  };
  std::vector<Worker> workers(static_cast<std::size_t>(options.concurrency));
  std::atomic<std::size_t> ready{0};

  const auto work = [&](Worker& worker) {
    bool arrived = false;
    try {
      at::init_num_threads();
      InferenceGuard guard;
      Stack stack;
      worker.milliseconds.reserve(static_cast<std::size_t>(options.calls));
      for (std::int64_t i = 0; i < options.warmup; ++i) impl_->call(stack);
      synchronize(impl_->device);
      ready.fetch_add(1);
      arrived = true;
      while (ready.load() < workers.size()) std::this_thread::yield();
      worker.start = Clock::now();
      Clock::time_point before = worker.start;
      for (std::int64_t i = 0; i < options.calls; ++i) {
        impl_->call(stack);
        synchronize(impl_->device);
        const Clock::time_point now = Clock::now();
        worker.milliseconds.push_back(
            std::chrono::duration<double, std::milli>(now - before).count());
        before = now;
      }
      worker.end = before;
    } catch (...) {
      worker.failure = std::current_exception();
      if (!arrived) ready.fetch_add(1);
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < workers.size(); ++i) {
    threads.emplace_back(work, std::ref(workers[i]));
  }
  work(workers[0]);
  for (std::thread& thread : threads) thread.join();

  std::vector<double> all;
  Clock::time_point start = workers[0].start;
  Clock::time_point end = workers[0].end;
  for (const Worker& worker : workers) {
    if (worker.failure) {
      try {
        std::rethrow_exception(worker.failure);
      } catch (const std::exception& exception) {
        throw impl_->run_error(exception);
      }
    }
    all.insert(all.end(), worker.milliseconds.begin(), worker.milliseconds.end());
    start = std::min(start, worker.start);
    end = std::max(end, worker.end);
  }
  std::sort(all.begin(), all.end());
  const auto percentile = [&all](int percent) {  // nearest rank
    const std::size_t rank = (all.size() * static_cast<std::size_t>(percent) + 99) / 100;
    return all[rank - 1];
  };
  BenchmarkResult result;
  for (double value : all) result.mean_ms += value / static_cast<double>(all.size());
  result.min_ms = all.front();
  result.p50_ms = percentile(50);
  result.p90_ms = percentile(90);
  result.p99_ms = percentile(99);
  result.max_ms = all.back();
  result.calls_per_second =
      static_cast<double>(all.size()) / std::chrono::duration<double>(end - start).count();
  return result;
}

ModelInfo Model::info() const {
  ModelInfo info;
  info.type = impl_->module.type()->annotation_str();
  for (const torch::jit::Function* method : impl_->module.type()->methods()) {
    info.methods.push_back(schema_text(*method));
  }
  add_tensors(*impl_->module._ivalue(), &info);
  return info;
}

// ---- Files and settings -------------------------------------------------------------------------

Value read_pt(const std::string& path) { return from_torch(read_pt_ivalue(path)); }

void write_pt(const Value& value, const std::string& path) {
  const Pickled pickled = pickle(value);
  File file = open_file(path, true);
  if (!file) throw Error(kRunFailed, path + ": cannot be written: " + std::strerror(errno));
  bool written = true;
  const std::function<std::size_t(const void*, std::size_t)> write = [&](const void* data,
                                                                         std::size_t size) {
    written = std::fwrite(data, 1, size, file.get()) == size && written;
    return size;
  };
  caffe2::serialize::PyTorchStreamWriter writer(write);
  writer.writeRecord("data.pkl", pickled.data.data(), pickled.data.size());
  for (std::size_t i = 0; i < pickled.tensors.size(); ++i) {
    writer.writeRecord("data/" + std::to_string(i), pickled.tensors[i]->data.get(),
                       pickled.tensors[i]->bytes());
  }
  writer.writeEndOfFile();
  if (!written || std::fflush(file.get()) != 0) {
    throw Error(kRunFailed, path + ": cannot be written: " + std::strerror(errno));
  }
}

void set_threads(int count) { at::set_num_threads(count); }

void print_models_to_stderr() {
  torch::jit::setPrintHandler(
      [](const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); });
}

void set_seed(std::uint64_t seed) { at::manual_seed(seed); }

std::string libtorch_version() {
  return std::to_string(TORCH_VERSION_MAJOR) + "." + std::to_string(TORCH_VERSION_MINOR) + "." +
         std::to_string(TORCH_VERSION_PATCH);
}

LibtorchInfo libtorch_info() {
  LibtorchInfo info;
  info.version = libtorch_version();
  info.threads = at::get_num_threads();
  const auto& hooks = at::detail::getCUDAHooks();
  info.cuda_built = hooks.hasCUDART();
  info.cuda_devices = hooks.hasCUDA() ? hooks.getNumGPUs() : 0;
  return info;
}

}  // namespace runner
