#include "files/archive.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "program/error.h"
#include "program/platform.h"

namespace runner {
namespace {

// Record layouts: APPNOTE.TXT of the ZIP file format, sections 4.3.7 and 4.3.12 to 4.3.16.
const std::size_t kEndSize = 22;
const std::size_t kEnd64LocatorSize = 20;
const std::size_t kEntrySize = 46;
const std::size_t kLocalSize = 30;

std::uint64_t number(const std::string& bytes, std::size_t at, int size) {
  std::uint64_t value = 0;
  for (int i = size; i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  }
  return value;
}

std::string read(std::FILE* file, std::uint64_t position, std::uint64_t size) {
  std::string bytes(static_cast<std::size_t>(size), '\0');
  if (!seek(file, position)) return std::string();
  bytes.resize(std::fread(&bytes[0], 1, bytes.size(), file));
  return bytes;
}

// The central directory, or an empty text where there is none.
std::string central_directory(std::FILE* file, std::uint64_t size) {
  const std::uint64_t tail_size = std::min<std::uint64_t>(size, kEndSize + 65535);
  const std::string tail = read(file, size - tail_size, tail_size);
  const std::size_t end = tail.rfind("PK\x05\x06");
  if (end == std::string::npos || tail.size() - end < kEndSize) return std::string();
  std::uint64_t length = number(tail, end + 12, 4);
  std::uint64_t offset = number(tail, end + 16, 4);
  if (end >= kEnd64LocatorSize && tail.compare(end - kEnd64LocatorSize, 4, "PK\x06\x07") == 0) {
    const std::string end64 = read(file, number(tail, end - kEnd64LocatorSize + 8, 8), 56);
    if (end64.size() != 56 || end64.compare(0, 4, "PK\x06\x06") != 0) return std::string();
    length = number(end64, 40, 8);
    offset = number(end64, 48, 8);
  }
  if (offset > size || length > size - offset) return std::string();
  return read(file, offset, length);
}

// A record that is stored uncompressed, as torch does it; at most a line long.
std::string stored_text(std::FILE* file, std::uint64_t offset, std::uint64_t size) {
  const std::string local = read(file, offset, kLocalSize);
  if (local.size() != kLocalSize || size > 80) return std::string();
  const std::uint64_t data = offset + kLocalSize + number(local, 26, 2) + number(local, 28, 2);
  const std::string text = read(file, data, size);
  return text.substr(0, text.find_first_of("\r\n"));
}

}  // namespace

bool Archive::has(const std::string& record) const {
  return std::find(records.begin(), records.end(), record) != records.end();
}

bool Archive::is_torchscript() const {
  return has("constants.pkl") || has("model.json") ||
         std::any_of(records.begin(), records.end(),
                     [](const std::string& name) { return name.compare(0, 5, "code/") == 0; });
}

std::vector<std::string> Archive::extra_files() const {
  std::vector<std::string> names;
  for (const std::string& record : records) {
    if (record.compare(0, 6, "extra/") == 0) names.push_back(record.substr(6));
  }
  return names;
}

Archive read_archive(const std::string& path) {
  File file = open_file(path);
  if (!file) {
    throw Error(kModelNotLoaded, "cannot open the model " + path + ": " + std::strerror(errno));
  }
  Archive archive;
  const std::uint64_t size = file_size(file.get());
  const std::string magic = read(file.get(), 0, std::min<std::uint64_t>(size, 4));
  if (magic.compare(0, 2, "PK") != 0) {
    archive.state = size == 0            ? Archive::State::kEmpty
                    : magic[0] == '\x80' ? Archive::State::kPickle
                                         : Archive::State::kNotZip;
    return archive;
  }
  const std::string directory = central_directory(file.get(), size);
  archive.state = directory.empty() ? Archive::State::kTruncatedZip : Archive::State::kZip;

  std::size_t at = 0;
  while (at + kEntrySize <= directory.size() && directory.compare(at, 4, "PK\x01\x02") == 0) {
    const std::size_t name_size = number(directory, at + 28, 2);
    const std::size_t rest = number(directory, at + 30, 2) + number(directory, at + 32, 2);
    std::string name = directory.substr(at + kEntrySize, name_size);
    name = name.substr(name.find('/') + 1);
    // From file format 6 on it is a record of the folder .data.
    if ((name == "version" || name == ".data/version") && number(directory, at + 10, 2) == 0) {
      archive.format_version =
          stored_text(file.get(), number(directory, at + 42, 4), number(directory, at + 24, 4));
    }
    archive.records.push_back(name);
    at += kEntrySize + name_size + rest;
  }
  return archive;
}

Diagnosis why_not_torchscript(const Archive& archive) {
  const char* const save = "in Python: torch.jit.script(model).save(\"model.pt\")";
  switch (archive.state) {
    case Archive::State::kEmpty:
      return {"the file is empty", ""};
    case Archive::State::kTruncatedZip:
      return {"the zip archive is truncated or damaged", "copy or export the file again"};
    case Archive::State::kPickle:
      return {"the file is a pickle (written by torch.save of an old release), not an archive",
              save};
    case Archive::State::kNotZip:
      return {"the file is not a zip archive", save};
    case Archive::State::kZip:
      break;
  }
  if (archive.is_torchscript()) return {};
  const bool exported =
      archive.has("archive_format") || archive.has("serialized_exported_program.json") ||
      std::any_of(archive.records.begin(), archive.records.end(), [](const std::string& name) {
        return name.find("aotinductor/") != std::string::npos;
      });
  if (exported) {
    return {"the file is a .pt2 archive (torch.export or AOTInductor)", save};
  }
  if (archive.has("data.pkl")) {
    return {"a pickled Python object without code, as torch.save writes weights", save};
  }
  return {"the file is a zip archive of something else", save};
}

}  // namespace runner
