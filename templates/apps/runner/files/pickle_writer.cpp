#include "files/pickle_writer.h"

#include <cstring>
#include <limits>

#include "program/error.h"

namespace runner {
namespace {

// Opcodes: the comments in CPython's Lib/pickletools.py. Protocol 2, as torch.save writes.
class Writer {
 public:
  Pickled write(const Value& value) {
    out_.data += "\x80\x02";
    put(value);
    out_.data += '.';
    return std::move(out_);
  }

 private:
  void put(const Value& value) {
    switch (value.kind) {
      case Value::Kind::kNone:
        out_.data += 'N';
        break;
      case Value::Kind::kBool:
        put_bool(value.integer != 0);
        break;
      case Value::Kind::kInt:
        put_int(value.integer);
        break;
      case Value::Kind::kFloat:
        put_float(value.real);
        break;
      case Value::Kind::kComplex:
        out_.data += "c__builtin__\ncomplex\n";
        put_float(value.real);
        put_float(value.imaginary);
        out_.data += "\x86R";
        break;
      case Value::Kind::kString:
        put_string(value.text);
        break;
      case Value::Kind::kTensor:
        put_tensor(value.tensor);
        break;
      case Value::Kind::kList:
        out_.data += "](";
        for (const Value& item : value.items) put(item);
        out_.data += 'e';
        break;
      case Value::Kind::kTuple:
        out_.data += '(';
        for (const Value& item : value.items) put(item);
        out_.data += 't';
        break;
      case Value::Kind::kDict:
        out_.data += "}(";
        for (const Value& item : value.items) put(item);
        out_.data += 'u';
        break;
      case Value::Kind::kOther:
        throw Error(kRunFailed, "an output of type " + value.text + " cannot be written to a file");
    }
  }

  void put_bool(bool value) { out_.data += value ? '\x88' : '\x89'; }

  void put_little_endian(std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) out_.data += static_cast<char>(value >> (8 * i));
  }

  void put_int(std::int64_t value) {
    if (value >= std::numeric_limits<std::int32_t>::min() &&
        value <= std::numeric_limits<std::int32_t>::max()) {
      out_.data += 'J';
      put_little_endian(static_cast<std::uint64_t>(value), 4);
    } else {
      out_.data += "\x8a\x08";
      put_little_endian(static_cast<std::uint64_t>(value), 8);
    }
  }

  void put_float(double value) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    out_.data += 'G';
    for (int i = 8; i-- > 0;) out_.data += static_cast<char>(bits >> (8 * i));
  }

  void put_string(const std::string& text) {
    out_.data += 'X';
    put_little_endian(text.size(), 4);
    out_.data += text;
  }

  // (dims,...) as Python integers
  void put_dims(const std::vector<std::int64_t>& dims) {
    out_.data += '(';
    for (std::int64_t dim : dims) put_int(dim);
    out_.data += 't';
  }

  // What torch.save writes: a call of torch._utils._rebuild_tensor_v2(storage, offset, size,
  // stride, requires_grad, hooks), or of v3 with the dtype for those without a storage class.
  void put_tensor(const std::shared_ptr<const Tensor>& tensor) {
    const char* storage = storage_class(*tensor);
    out_.data += storage != nullptr ? "ctorch._utils\n_rebuild_tensor_v2\n("
                                    : "ctorch._utils\n_rebuild_tensor_v3\n(";
    out_.data += '(';
    put_string("storage");
    out_.data += std::string("ctorch") + (storage != nullptr ? "" : ".storage") + "\n" +
                 (storage != nullptr ? storage : "UntypedStorage") + "\n";
    put_string(std::to_string(out_.tensors.size()));
    put_string("cpu");
    put_int(storage != nullptr ? tensor->count() : static_cast<std::int64_t>(tensor->bytes()));
    out_.data += "tQ";
    put_int(0);
    put_dims(tensor->shape);
    std::vector<std::int64_t> strides(tensor->shape.size(), 1);
    for (std::size_t d = strides.size(); d-- > 1;) {
      strides[d - 1] = strides[d] * (tensor->shape[d] > 1 ? tensor->shape[d] : 1);
    }
    put_dims(strides);
    put_bool(false);
    out_.data += "ccollections\nOrderedDict\n)R";
    if (storage == nullptr) out_.data += "ctorch\n" + tensor->dtype + "\n";
    out_.data += "tR";
    out_.tensors.push_back(tensor);
  }

  // Null for the dtypes that came after torch stopped making such classes.
  static const char* storage_class(const Tensor& tensor) {
    if (tensor.dtype != element_name(tensor.element)) {
      throw Error(kRunFailed, "an output of dtype " + tensor.dtype + " cannot be written to a file",
                  "let the model return another dtype");
    }
    switch (tensor.element) {
      case Element::kBool:
        return "BoolStorage";
      case Element::kUInt8:
        return "ByteStorage";
      case Element::kInt8:
        return "CharStorage";
      case Element::kInt16:
        return "ShortStorage";
      case Element::kInt32:
        return "IntStorage";
      case Element::kInt64:
        return "LongStorage";
      case Element::kFloat16:
        return "HalfStorage";
      case Element::kBFloat16:
        return "BFloat16Storage";
      case Element::kFloat32:
        return "FloatStorage";
      case Element::kFloat64:
        return "DoubleStorage";
      case Element::kComplex64:
        return "ComplexFloatStorage";
      case Element::kComplex128:
        return "ComplexDoubleStorage";
      case Element::kUInt16:
      case Element::kUInt32:
      case Element::kUInt64:
        break;
    }
    return nullptr;
  }

  Pickled out_;
};

}  // namespace

Pickled pickle(const Value& value) { return Writer().write(value); }

}  // namespace runner
