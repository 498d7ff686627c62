#include "files/pt_writer.h"

#include <cerrno>
#include <cstring>
#include <functional>

#include "files/pickle_writer.h"
#include "program/error.h"
#include "program/platform.h"
#include "values/torch_headers.h"

namespace runner {

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
