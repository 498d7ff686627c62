#include "files/pickle_calls.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "files/npy.h"

namespace runner {
namespace {

// The classes of storages that torch.save writes: one for each dtype that it had when it made such
// classes. Quantized tensors hold integers.
struct StorageClass {
  const char* name;
  Element element;
  const char* dtype;
};

const StorageClass kStorageClasses[] = {
    {"BoolStorage", Element::kBool, "bool"},
    {"ByteStorage", Element::kUInt8, "uint8"},
    {"CharStorage", Element::kInt8, "int8"},
    {"ShortStorage", Element::kInt16, "int16"},
    {"IntStorage", Element::kInt32, "int32"},
    {"LongStorage", Element::kInt64, "int64"},
    {"HalfStorage", Element::kFloat16, "float16"},
    {"BFloat16Storage", Element::kBFloat16, "bfloat16"},
    {"FloatStorage", Element::kFloat32, "float32"},
    {"DoubleStorage", Element::kFloat64, "float64"},
    {"ComplexFloatStorage", Element::kComplex64, "complex64"},
    {"ComplexDoubleStorage", Element::kComplex128, "complex128"},
    {"QInt8Storage", Element::kInt8, "qint8"},
    {"QUInt8Storage", Element::kUInt8, "quint8"},
    {"QInt32Storage", Element::kInt32, "qint32"},
};

// c10::ScalarType, c10::Layout, c10::MemoryFormat and c10::QScheme, which TorchScript has as ints.
const struct {
  const char* name;
  std::int64_t number;
} kConstants[] = {
    {"uint8", 0},
    {"int8", 1},
    {"int16", 2},
    {"int32", 3},
    {"int64", 4},
    {"float16", 5},
    {"float32", 6},
    {"float64", 7},
    {"complex32", 8},
    {"complex64", 9},
    {"complex128", 10},
    {"bool", 11},
    {"qint8", 12},
    {"quint8", 13},
    {"qint32", 14},
    {"bfloat16", 15},
    {"quint4x2", 16},
    {"quint2x4", 17},
    {"float8_e5m2", 23},
    {"float8_e4m3fn", 24},
    {"float8_e5m2fnuz", 25},
    {"float8_e4m3fnuz", 26},
    {"uint16", 27},
    {"uint32", 28},
    {"uint64", 29},
    {"float8_e8m0fnu", 44},
    {"strided", 0},
    {"sparse_coo", 1},
    {"sparse_csr", 2},
    {"_mkldnn", 3},
    {"sparse_csc", 4},
    {"sparse_bsr", 5},
    {"sparse_bsc", 6},
    {"jagged", 7},
    {"contiguous_format", 0},
    {"preserve_format", 1},
    {"channels_last", 2},
    {"channels_last_3d", 3},
    {"per_tensor_affine", 0},
    {"per_channel_affine", 1},
    {"per_tensor_symmetric", 2},
    {"per_channel_symmetric", 3},
    {"per_channel_affine_float_qparams", 4},
};

// What a tensor may take that is larger than its storage: dimensions of stride 0 cost a file
// nothing.
const std::int64_t kMostBytes = std::int64_t{1} << 29;

std::string after_last_dot(const std::string& text) { return text.substr(text.rfind('.') + 1); }

bool starts_with_word(const std::string& text, const char* word) {
  return text.compare(0, std::strlen(word), word) == 0;
}

const Node& argument(const std::vector<Node*>& arguments, std::size_t index, Node::Kind kind) {
  if (index >= arguments.size() || arguments[index]->kind != kind) {
    fail_unpickling("a call has other arguments than it should have");
  }
  return *arguments[index];
}

std::vector<std::int64_t> dims(const Node& node) {
  std::vector<std::int64_t> result;
  if (node.kind != Node::Kind::kTuple && node.kind != Node::Kind::kList) {
    fail_unpickling("a tensor's size is no tuple");
  }
  for (const Node* item : node.items) {
    if (item->kind != Node::Kind::kInt) fail_unpickling("a tensor's size is no tuple of ints");
    result.push_back(item->integer);
  }
  return result;
}

bool is_in_order(const Tensor& tensor) {
  std::int64_t expected = 1;
  for (std::size_t d = tensor.shape.size(); d-- > 0;) {
    if (tensor.shape[d] != 1 && tensor.strides[d] != expected) return false;
    expected *= tensor.shape[d];
  }
  return true;
}

// What tensor.conj() and its imaginary part leave to be done when the elements are read.
void negate(Tensor* tensor, bool real, bool imaginary) {
  *tensor = contiguous(*tensor);
  const bool both = is_complex(tensor->element);
  const std::size_t size = element_size(tensor->element) / (both ? 2 : 1);
  const std::size_t count = tensor->bytes() / size;
  std::shared_ptr<char> data(new char[tensor->bytes()], std::default_delete<char[]>());
  std::memcpy(data.get(), tensor->data.get(), tensor->bytes());
  for (std::size_t i = 0; i < count; ++i) {
    const bool flip = both && i % 2 == 1 ? imaginary : real;
    if (flip) data.get()[(i + 1) * size - 1] ^= '\x80';  // the sign, in little-endian order
  }
  tensor->data = data;
}

}  // namespace

bool find_constant(const std::string& global, std::int64_t* number) {
  if (!starts_with_word(global, "torch.")) return false;
  for (const auto& constant : kConstants) {
    if (global.compare(6, std::string::npos, constant.name) != 0) continue;
    *number = constant.number;
    return true;
  }
  return false;
}

Node* Calls::tensor_node(Tensor tensor) {
  Node* node = nodes_->add(Node::Kind::kTensor);
  node->tensor = std::make_shared<const Tensor>(std::move(tensor));
  return node;
}

// The first element, if all of them lie within the storage.
std::shared_ptr<const void> Calls::place(const Node& storage, Element element, std::int64_t offset,
                                         const Tensor& tensor) {
  const Storage stored = storages_(storage.text);
  const std::int64_t room = static_cast<std::int64_t>(stored.size / element_size(element));
  if (tensor.strides.size() != tensor.shape.size()) fail_unpickling("a tensor lacks strides");
  if (offset < 0) fail_unpickling("a tensor's offset is negative");
  std::int64_t count = 1;
  for (const std::int64_t size : tensor.shape) {
    if (size == 0) count = 0;  // of such a tensor nothing lies anywhere
  }
  std::int64_t last = offset;
  for (std::size_t d = 0; d < tensor.shape.size(); ++d) {
    const std::int64_t size = tensor.shape[d];
    const std::int64_t stride = tensor.strides[d];
    if (size < 0 || stride < 0) fail_unpickling("a tensor's size is negative");
    if (count == 0) continue;
    const std::int64_t bytes = static_cast<std::int64_t>(element_size(element));
    const std::int64_t most = std::max(kMostBytes / bytes, room);
    if (size > most / count) fail_unpickling("a tensor claims more elements than can be");
    count *= size;
    if (size > 1 && stride > 0 && (size - 1) > (room - last) / stride) {
      fail_unpickling("a tensor lies outside of its storage");
    }
    last += (size - 1) * stride;
  }
  if (count > 0 && last >= room) fail_unpickling("a tensor lies outside of its storage");
  const char* start = stored.data.get();
  if (count > 0) start += offset * static_cast<std::int64_t>(element_size(element));
  return std::shared_ptr<const void>(stored.data, start);
}

// (storage, offset, size, stride, requires_grad, hooks, ...), with the dtype before the last for v3
Node* Calls::rebuild_tensor(const std::vector<Node*>& arguments, Element element) {
  const Node& storage = argument(arguments, 0, Node::Kind::kStorage);
  Tensor tensor;
  tensor.element = element;
  std::string dtype = element_name(element);
  const std::string name = after_last_dot(storage.name);
  if (name != "UntypedStorage") {
    const auto is_named = [&name](const StorageClass& known) { return name == known.name; };
    const auto* found =
        std::find_if(std::begin(kStorageClasses), std::end(kStorageClasses), is_named);
    if (found == std::end(kStorageClasses)) {
      fail_unpickling("a tensor's storage is a " + storage.name + ", which cannot be read");
    }
    tensor.element = found->element;
    dtype = found->dtype;
  }
  tensor.dtype = dtype;
  const std::int64_t offset = argument(arguments, 1, Node::Kind::kInt).integer;
  tensor.shape = dims(argument(arguments, 2, Node::Kind::kTuple));
  tensor.strides = dims(argument(arguments, 3, Node::Kind::kTuple));
  tensor.data = place(storage, tensor.element, offset, tensor);
  if (arguments.size() > 4) tensor.requires_grad = arguments[4]->integer != 0;
  if (is_in_order(tensor)) tensor.strides.clear();
  bool conjugated = false;
  bool negative = false;
  if (arguments.back()->kind == Node::Kind::kDict) {  // the tensor's metadata
    const auto& flags = arguments.back()->items;
    for (std::size_t i = 0; i < flags.size(); i += 2) {
      conjugated = conjugated || flags[i]->text == "conj";
      negative = negative || flags[i]->text == "neg";
    }
  }
  if (arguments.size() > 6 && (conjugated || negative)) {
    negate(&tensor, negative, negative != conjugated);
  }
  return tensor_node(std::move(tensor));
}

// (layout, (members..., size[, is_coalesced]))
Node* Calls::rebuild_sparse(const std::vector<Node*>& arguments) {
  const std::string layout = after_last_dot(argument(arguments, 0, Node::Kind::kGlobal).text);
  const std::vector<Node*>& members = argument(arguments, 1, Node::Kind::kTuple).items;
  const std::size_t parts = layout == "sparse_coo" ? 2 : 3;
  auto packing = std::make_shared<Packing>();
  packing->form = layout;
  for (std::size_t i = 0; i < parts; ++i) {
    packing->parts.push_back(*argument(members, i, Node::Kind::kTensor).tensor);
  }
  if (members.size() > parts + 1) packing->coalesced = members[parts + 1]->integer != 0;
  Tensor tensor;
  tensor.dtype = packing->parts.back().dtype;
  tensor.element = packing->parts.back().element;
  tensor.shape = dims(argument(members, parts, Node::Kind::kTuple));
  tensor.packing = packing;
  return tensor_node(std::move(tensor));
}

// (storage, offset, size, stride, quantizer, requires_grad, hooks), where the quantizer is
// (scheme, scale, zero_point) or (scheme, scales, zero_points, axis)
Node* Calls::rebuild_quantized(const std::vector<Node*>& arguments) {
  const std::vector<Node*>& quantizer = argument(arguments, 4, Node::Kind::kTuple).items;
  const std::string scheme = after_last_dot(argument(quantizer, 0, Node::Kind::kGlobal).text);
  std::vector<Node*> plain(arguments.begin(), arguments.begin() + 4);
  Tensor whole = *rebuild_tensor(plain, Element::kInt8)->tensor;
  Tensor integers = whole;
  integers.dtype = element_name(integers.element);
  auto packing = std::make_shared<Packing>();
  packing->form = scheme;
  packing->parts.push_back(integers);
  if (scheme == "per_tensor_affine") {
    packing->scale = argument(quantizer, 1, Node::Kind::kFloat).real;
    packing->zero_point = argument(quantizer, 2, Node::Kind::kInt).integer;
  } else {
    packing->parts.push_back(*argument(quantizer, 1, Node::Kind::kTensor).tensor);
    packing->parts.push_back(*argument(quantizer, 2, Node::Kind::kTensor).tensor);
    packing->axis = argument(quantizer, 3, Node::Kind::kInt).integer;
  }
  whole.packing = packing;
  whole.data.reset();
  whole.strides.clear();
  whole.element = Element::kFloat32;
  return tensor_node(std::move(whole));
}

// (dtype, bytes)
Node* Calls::numpy_scalar(const std::vector<Node*>& arguments) {
  const std::string& type = argument(arguments, 0, Node::Kind::kNumpyType).text;
  const std::string& bytes = argument(arguments, 1, Node::Kind::kBytes).text;
  Tensor tensor;
  if (find_npy_element(type, &tensor.element) && bytes.size() == element_size(tensor.element)) {
    tensor.data = std::shared_ptr<const void>(std::shared_ptr<const void>(), bytes.data());
    if (!is_floating(tensor.element) && !is_complex(tensor.element)) {
      Node* node =
          nodes_->add(tensor.element == Element::kBool ? Node::Kind::kBool : Node::Kind::kInt);
      node->integer = tensor.integer(0);
      return node;
    }
    Node* node =
        nodes_->add(is_complex(tensor.element) ? Node::Kind::kComplex : Node::Kind::kFloat);
    node->real = tensor.real(0);
    node->imaginary = tensor.imaginary(0);
    return node;
  }
  fail_unpickling("it holds a scalar of NumPy's dtype " + type + ", which cannot be read");
}

Node* Calls::reduce(const Node& function, Node* tuple) {
  if (function.kind != Node::Kind::kGlobal || tuple->kind != Node::Kind::kTuple) {
    fail_unpickling("it calls what is no function");
  }
  const std::string& name = function.text;
  const std::vector<Node*>& arguments = tuple->items;
  if (name == "torch._utils._rebuild_tensor_v2" || name == "torch._utils._rebuild_tensor") {
    return rebuild_tensor(arguments, Element::kFloat32);
  }
  if (name == "torch._utils._rebuild_tensor_v3") {
    const std::string dtype = after_last_dot(argument(arguments, 6, Node::Kind::kGlobal).text);
    Element element = Element::kFloat32;
    if (!find_element(dtype, &element)) {
      fail_unpickling("it holds a tensor of dtype " + dtype + ", which cannot be read");
    }
    return rebuild_tensor(arguments, element);
  }
  if (name == "torch._utils._rebuild_parameter" ||
      name == "torch._utils._rebuild_parameter_with_state") {
    Tensor tensor = *argument(arguments, 0, Node::Kind::kTensor).tensor;
    tensor.requires_grad = argument(arguments, 1, Node::Kind::kBool).integer != 0;
    return tensor_node(std::move(tensor));
  }
  if (name == "torch._tensor._rebuild_from_type_v2") {
    const Node& inner = argument(arguments, 0, Node::Kind::kGlobal);
    if (!starts_with_word(inner.text, "torch._utils._rebuild")) {
      fail_unpickling("it holds a tensor that " + inner.text + " makes, which cannot be read");
    }
    return reduce(inner, const_cast<Node*>(&argument(arguments, 2, Node::Kind::kTuple)));
  }
  if (name == "torch._utils._rebuild_sparse_tensor") return rebuild_sparse(arguments);
  if (name == "torch._utils._rebuild_qtensor") return rebuild_quantized(arguments);
  if (name == "torch.serialization._get_layout") {
    return nodes_->text(Node::Kind::kGlobal, argument(arguments, 0, Node::Kind::kString).text);
  }
  if (starts_with_word(name, "torch._utils._rebuild") || starts_with_word(name, "torch.storage.")) {
    fail_unpickling("it holds what " + name + " makes, which cannot be read");
  }
  if (name == "torch.device") {
    std::string device = argument(arguments, 0, Node::Kind::kString).text;
    if (arguments.size() > 1) device += ":" + std::to_string(arguments[1]->integer);
    return nodes_->text(Node::Kind::kDevice, device);
  }
  const bool wraps = name == "torch.Size" || starts_with_word(name, "torch.jit._pickle.");
  if (wraps && !arguments.empty()) return arguments[0];  // build_intlist, restore_type_tag ...
  if (name == "collections.OrderedDict" || name == "collections.defaultdict" ||
      name == "collections.Counter") {
    Node* dict = nodes_->add(Node::Kind::kDict);
    for (const Node* given : arguments) {
      if (given->kind == Node::Kind::kDict) dict->items = given->items;
      if (given->kind != Node::Kind::kList) continue;
      for (const Node* pair : given->items) {
        if (pair->items.size() != 2) fail_unpickling("an OrderedDict is not made of pairs");
        dict->items.insert(dict->items.end(), pair->items.begin(), pair->items.end());
      }
    }
    return dict;
  }
  if (name == "builtins.complex" || name == "__builtin__.complex") {
    Node* node = nodes_->add(Node::Kind::kComplex);
    node->real = argument(arguments, 0, Node::Kind::kFloat).real;
    node->imaginary = argument(arguments, 1, Node::Kind::kFloat).real;
    return node;
  }
  if (name == "_codecs.encode") {  // how protocol 2 writes bytes: as text of Latin-1
    const std::string& text = argument(arguments, 0, Node::Kind::kString).text;
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const unsigned char c = static_cast<unsigned char>(text[i]);
      const bool two = c >= 0xc0 && i + 1 < text.size();
      bytes += two ? static_cast<char>((c & 3) << 6 | (text[++i] & 0x3f)) : text[i];
    }
    return nodes_->text(Node::Kind::kBytes, bytes);
  }
  if (name == "numpy.dtype" && !arguments.empty()) {
    return nodes_->text(Node::Kind::kNumpyType, arguments[0]->text);
  }
  if (name == "numpy.core.multiarray.scalar" || name == "numpy._core.multiarray.scalar") {
    return numpy_scalar(arguments);
  }
  if (starts_with_word(name, "numpy.")) {
    fail_unpickling("it holds an array of NumPy: save torch.from_numpy(array)");
  }
  if (name == "builtins.set" || name == "__builtin__.set" || name == "builtins.frozenset") {
    fail_unpickling("it holds a set, which TorchScript does not have");
  }
  const bool makes = name == "copyreg._reconstructor" || name == "copy_reg._reconstructor";
  const bool looks_up = name == "builtins.getattr" || name == "__builtin__.getattr";
  if ((makes || looks_up) && arguments.size() > 1 && arguments[0]->kind == Node::Kind::kGlobal) {
    Node* object = nodes_->text(Node::Kind::kObject, arguments[0]->text);
    if (looks_up) object->items.push_back(arguments[1]);  // a member of an enum
    return object;
  }
  Node* object = nodes_->text(Node::Kind::kObject, name);
  object->items = arguments;
  return object;
}

}  // namespace runner
