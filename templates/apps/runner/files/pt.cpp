#include "files/pt.h"

#include <cerrno>
#include <cstring>
#include <functional>

#include "engines/failures.h"
#include "files/archive.h"
#include "files/pickle_writer.h"
#include "program/platform.h"
#include "values/from_torch.h"
#include "values/torch_headers.h"

namespace torch {
namespace jit {
// From torch/csrc/jit/serialization/pickle.h, which brings the compiler of TorchScript along.
TORCH_API c10::IValue pickle_load(const std::vector<char>& data);
}  // namespace jit
}  // namespace torch

namespace runner {

c10::IValue read_pt_ivalue(const std::string& path) {
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

}  // namespace runner
