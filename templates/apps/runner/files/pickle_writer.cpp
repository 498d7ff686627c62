#include "files/pickle_writer.h"

#include <cstring>
#include <limits>

#include "program/error.h"

namespace runner {
namespace {

bool is_utf8(const std::string& text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t size = utf8_size(text, at);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

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
      case Value::Kind::kDevice:
        put_device(value.text);
        break;
      case Value::Kind::kTensor:
        put_tensor(value.tensor);
        break;
      case Value::Kind::kEnum:  // its value: weights_only=True takes no classes
        put(value.items.at(0));
        break;
      case Value::Kind::kObject:
        put_object(value);
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
        throw Error(kRunFailed,
                    "an output that is a " + value.text + " cannot be written to a file",
                    "let the model return another type");
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
    if (!is_utf8(text)) {
      throw Error(kRunFailed,
                  "a string of the outputs cannot be written to a file: it is not UTF-8");
    }
    put_text(text);
  }

  void put_text(const std::string& text) {
    out_.data += 'X';
    put_little_endian(text.size(), 4);
    out_.data += text;
  }

  // torch.device(type[, index])
  void put_device(const std::string& device) {
    const std::size_t colon = device.find(':');
    out_.data += "ctorch\ndevice\n";
    put_text(device.substr(0, colon));
    if (colon != std::string::npos) put_int(std::stoll(device.substr(colon + 1)));
    out_.data += colon == std::string::npos ? "\x85R" : "\x86R";
  }

  // As the dict of its attributes.
  void put_object(const Value& object) {
    out_.data += "}(";
    for (std::size_t i = 0; i < object.items.size(); ++i) {
      put_string(i < object.names.size() ? object.names[i] : std::to_string(i));
      put(object.items[i]);
    }
    out_.data += 'u';
  }

  // (dims,...) as Python integers
  void put_dims(const std::vector<std::int64_t>& dims) {
    out_.data += '(';
    for (std::int64_t dim : dims) put_int(dim);
    out_.data += 't';
  }

  void put_tensor(const std::shared_ptr<const Tensor>& tensor) {
    if (!tensor->packing) {
      put_strided(tensor, storage_class(*tensor));
    } else if (is_sparse(*tensor)) {
      put_sparse(*tensor);
    } else {
      put_quantized(*tensor);
    }
  }

  // The persistent id of a storage, its offset, size and strides.
  void put_storage(const std::shared_ptr<const Tensor>& tensor, const std::string& type,
                   std::int64_t count) {
    out_.data += '(';
    put_text("storage");
    out_.data += "ctorch" + type + "\n";
    put_text(std::to_string(out_.tensors.size()));
    put_text("cpu");
    put_int(count);
    out_.data += "tQ";
    put_int(0);
    put_dims(tensor->shape);
    std::vector<std::int64_t> strides(tensor->shape.size(), 1);
    for (std::size_t d = strides.size(); d-- > 1;) {
      strides[d - 1] = strides[d] * (tensor->shape[d] > 1 ? tensor->shape[d] : 1);
    }
    put_dims(strides);
    out_.tensors.push_back(tensor);
  }

  void put_no_hooks() {
    out_.data +=
        "\x89"
        "ccollections\nOrderedDict\n)R";
  }

  // What torch.save writes: a call of torch._utils._rebuild_tensor_v2(storage, offset, size,
  // stride, requires_grad, hooks), or of v3 with the dtype for those without a storage class.
  void put_strided(const std::shared_ptr<const Tensor>& tensor, const char* storage) {
    if (storage != nullptr) {
      out_.data += "ctorch._utils\n_rebuild_tensor_v2\n(";
      put_storage(tensor, std::string("\n") + storage, tensor->count());
    } else {
      out_.data += "ctorch._utils\n_rebuild_tensor_v3\n(";
      put_storage(tensor, ".storage\nUntypedStorage", static_cast<std::int64_t>(tensor->bytes()));
    }
    put_no_hooks();
    if (storage == nullptr) out_.data += "ctorch\n" + tensor->dtype + "\n";
    out_.data += "tR";
  }

  void put_part(const Tensor& part) { put_tensor(std::make_shared<const Tensor>(part)); }

  // _rebuild_sparse_tensor(layout, (members..., size[, is_coalesced]))
  void put_sparse(const Tensor& tensor) {
    out_.data += "ctorch._utils\n_rebuild_sparse_tensor\nctorch.serialization\n_get_layout\n";
    put_text("torch." + tensor.packing->form);
    out_.data += "\x85R(";
    for (const Tensor& part : tensor.packing->parts) put_part(part);
    out_.data += "ctorch\nSize\n";
    put_dims(tensor.shape);
    out_.data += "\x85R";
    if (tensor.packing->form == "sparse_coo") put_bool(tensor.packing->coalesced);
    out_.data += "t\x86R";
  }

  // _rebuild_qtensor(storage, offset, size, stride, quantizer, requires_grad, hooks)
  void put_quantized(const Tensor& tensor) {
    const Packing& packing = *tensor.packing;
    const std::string storage = tensor.dtype == "qint8"    ? "\nQInt8Storage"
                                : tensor.dtype == "quint8" ? "\nQUInt8Storage"
                                                           : "\nQInt32Storage";
    out_.data += "ctorch._utils\n_rebuild_qtensor\n(";
    put_storage(std::make_shared<const Tensor>(packing.parts[0]), storage, tensor.count());
    out_.data += "(ctorch\n" + packing.form + "\n";
    if (packing.parts.size() == 1) {
      put_float(packing.scale);
      put_int(packing.zero_point);
    } else {
      put_part(packing.parts[1]);
      put_part(packing.parts[2]);
      put_int(packing.axis);
    }
    out_.data += 't';
    put_no_hooks();
    out_.data += "tR";
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
      default:
        return nullptr;
    }
  }

  Pickled out_;
};

}  // namespace

Pickled pickle(const Value& value) { return Writer().write(value); }

}  // namespace runner
