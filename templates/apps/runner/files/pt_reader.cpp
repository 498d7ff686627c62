#include "files/pt_reader.h"

#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "files/archive.h"
#include "files/pickle_reader.h"
#include "program/error.h"
#include "program/platform.h"

namespace runner {
namespace {

// As torch allocates: vector instructions like it.
const std::size_t kAlignment = 64;

[[noreturn]] void refuse(const std::string& path, const std::string& what,
                         const std::string& hint = std::string()) {
  throw Error(kUsage, path + what, hint);
}

Storage read_storage(const std::string& path, std::FILE* file, const Archive& archive,
                     const std::string& key) {
  const Record* record = archive.find("data/" + key);
  if (record == nullptr) refuse(path, " cannot be read: it lacks the record data/" + key);
  const std::uint64_t position = data_position(file, *record);
  const std::size_t size = static_cast<std::size_t>(record->size);
  const std::shared_ptr<char> block(new char[size + kAlignment], std::default_delete<char[]>());
  void* start = block.get();
  std::size_t room = size + kAlignment;
  std::align(kAlignment, size, start, room);
  const bool complete =
      position != 0 && seek(file, position) && std::fread(start, 1, size, file) == size;
  if (!complete)
    refuse(path, " cannot be read: the record data/" + key + " is damaged or compressed");
  Storage storage;
  storage.data = std::shared_ptr<const char>(block, static_cast<const char*>(start));
  storage.size = size;
  return storage;
}

}  // namespace

Value read_pt(const std::string& path) {
  File file = open_file(path);
  if (!file) refuse(path, std::string(": ") + std::strerror(errno));
  const Archive archive = read_archive(file.get());
  if (archive.state != Archive::State::kZip) {
    refuse(path, " is not a .pt file: " + why_not_torchscript(archive).message);
  }
  if (archive.is_torchscript()) {
    refuse(path, " is a TorchScript model, not a file with inputs or outputs");
  }
  const Record* order = archive.find("byteorder");
  if (order != nullptr && order->size < 10 && read_record(file.get(), *order) == "big") {
    refuse(path, " cannot be read: it was written on a big-endian machine");
  }
  const Record* pickled = archive.find("data.pkl");
  const std::string data = pickled == nullptr ? "" : read_record(file.get(), *pickled);
  if (data.empty()) {
    refuse(path, " is not a .pt file: " + std::string(pickled == nullptr
                                                          ? "the archive has no record data.pkl"
                                                          : "its record data.pkl is compressed"));
  }
  std::unordered_map<std::string, std::size_t> places;
  std::vector<Storage> storages;
  const StorageReader read = [&](const std::string& key) {
    const auto found = places.find(key);
    if (found != places.end()) return storages[found->second];
    storages.push_back(read_storage(path, file.get(), archive, key));
    places.emplace(key, storages.size() - 1);
    return storages.back();
  };
  try {
    return unpickle(data, read);
  } catch (const Error& error) {
    if (std::string(error.what()).compare(0, path.size(), path) == 0) throw;
    refuse(path, std::string(" cannot be read: ") + error.what(),
           "write it with torch.save, of tensors, tuples, lists, dicts, numbers, strings, None");
  }
}

}  // namespace runner
