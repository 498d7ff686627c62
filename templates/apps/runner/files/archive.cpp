#include "files/archive.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "files/inflate.h"
#include "program/error.h"
#include "program/platform.h"

namespace runner {
namespace {

// Record layouts: APPNOTE.TXT of the ZIP file format, sections 4.3.7 and 4.3.12 to 4.3.16.
const std::size_t kEndSize = 22;
const std::size_t kEnd64LocatorSize = 20;
const std::size_t kEntrySize = 46;
const std::size_t kLocalSize = 30;

// Deflate's best, and more of compressed data than any code is.
const std::uint64_t kMostRatio = 1032;
const std::uint64_t kMostInflated = 256 << 20;

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

// The sizes and the place of a record in the extra field of its entry, where they are too large for
// the entry itself.
void read_zip64(const std::string& extra, Record* record) {
  std::size_t at = 0;
  while (at + 4 <= extra.size()) {
    const std::size_t size = static_cast<std::size_t>(number(extra, at + 2, 2));
    if (size > extra.size() - at - 4) return;
    if (number(extra, at, 2) == 1) {
      std::size_t field = at + 4;
      for (std::uint64_t* value : {&record->size, &record->stored_size, &record->header}) {
        if (*value == 0xffffffff && field + 8 <= at + 4 + size) {
          *value = number(extra, field, 8);
          field += 8;
        }
      }
      return;
    }
    at += 4 + size;
  }
}

// Why a record cannot be what its entry says, or an empty text.
std::string impossible(const Record& record, std::uint64_t file_size) {
  const std::string which = "its directory claims that the record " + record.name;
  const std::string room = ", in a file of " + std::to_string(file_size);
  if (record.header > file_size || record.stored_size > file_size - record.header) {
    return which + " takes " + std::to_string(record.stored_size) + " bytes" + room;
  }
  const bool too_large = record.compressed ? record.size / kMostRatio > record.stored_size
                                           : record.size != record.stored_size;
  return too_large ? which + " has " + std::to_string(record.size) + " bytes" + room : "";
}

// Where what the file holds of a record begins; 0 for nowhere.
std::uint64_t stored_position(std::FILE* file, const Record& record) {
  const std::string local = read(file, record.header, kLocalSize);
  if (local.size() != kLocalSize || local.compare(0, 4, "PK\x03\x04") != 0) return 0;
  return record.header + kLocalSize + number(local, 26, 2) + number(local, 28, 2);
}

void read_entries(const std::string& directory, std::uint64_t file_size, Archive* archive) {
  std::size_t at = 0;
  std::uint64_t inflated = 0;
  std::string first_folder;
  while (at + kEntrySize <= directory.size() && directory.compare(at, 4, "PK\x01\x02") == 0) {
    const std::size_t name_size = static_cast<std::size_t>(number(directory, at + 28, 2));
    const std::size_t extra_size = static_cast<std::size_t>(number(directory, at + 30, 2));
    const std::size_t comment_size = static_cast<std::size_t>(number(directory, at + 32, 2));
    Record record;
    record.compressed = number(directory, at + 10, 2) != 0;
    record.stored_size = number(directory, at + 20, 4);
    record.size = number(directory, at + 24, 4);
    record.header = number(directory, at + 42, 4);
    at += kEntrySize;
    const std::string name = directory.substr(at, name_size);
    const std::size_t folder = name.find('/');
    record.name = name.substr(folder + 1);
    if (at + name_size < directory.size()) {
      read_zip64(directory.substr(at + name_size, extra_size), &record);
    }
    at += name_size + extra_size + comment_size;
    if (archive->records.empty()) first_folder = name.substr(0, folder + 1);
    const bool has_all = record.name == "constants.pkl" || record.name == "model.json";
    if (has_all && folder != std::string::npos && name.substr(0, folder + 1) == first_folder) {
      archive->has_folder = true;
    }
    if (record.compressed) inflated += std::min(record.size, kMostInflated + file_size * 20 + 1);
    archive->problem = impossible(record, file_size);
    if (archive->problem.empty() && inflated > kMostInflated + file_size * 20) {
      archive->problem = "its compressed records claim to be far larger than code can be";
    }
    if (!archive->problem.empty()) {
      archive->state = Archive::State::kImpossible;
      return;
    }
    archive->records.push_back(std::move(record));
  }
}

}  // namespace

const Record* Archive::find(const std::string& name) const {
  for (const Record& record : records) {
    if (record.name == name) return &record;
  }
  return nullptr;
}

bool Archive::has_below(const std::string& folder) const {
  return std::any_of(records.begin(), records.end(), [&folder](const Record& record) {
    return record.name.compare(0, folder.size(), folder) == 0;
  });
}

bool Archive::is_torchscript() const {
  return has("constants.pkl") || has("model.json") || has_below("code/");
}

std::vector<std::string> Archive::extra_files() const {
  std::vector<std::string> names;
  for (const Record& record : records) {
    if (record.name.compare(0, 6, "extra/") == 0) names.push_back(record.name.substr(6));
  }
  return names;
}

Archive read_archive(std::FILE* file) {
  Archive archive;
  const std::uint64_t size = file_size(file);
  const std::string magic = read(file, 0, std::min<std::uint64_t>(size, 8));
  if (magic.compare(0, 2, "PK") != 0) {
    archive.state = size == 0                 ? Archive::State::kEmpty
                    : magic[0] == '\x80'      ? Archive::State::kPickle
                    : magic.find("PTMF") == 4 ? Archive::State::kMobile
                                              : Archive::State::kNotZip;
    return archive;
  }
  const std::string directory = central_directory(file, size);
  archive.state = directory.empty() ? Archive::State::kTruncatedZip : Archive::State::kZip;
  read_entries(directory, size, &archive);
  if (archive.state != Archive::State::kZip) return archive;
  // From file format 6 on the version is a record of the folder .data.
  for (const char* name : {".data/version", "version"}) {
    const Record* record = archive.find(name);
    if (record == nullptr || record->size > 80) continue;
    const std::string text = read_record(file, *record);
    archive.format_version = text.substr(0, text.find_first_of("\r\n"));
    break;
  }
  return archive;
}

Archive read_archive(const std::string& path) {
  File file = open_file(path);
  if (!file) {
    throw Error(kModelNotLoaded, "cannot open the model " + path + ": " + std::strerror(errno));
  }
  return read_archive(file.get());
}

std::uint64_t data_position(std::FILE* file, const Record& record) {
  return record.compressed ? 0 : stored_position(file, record);
}

std::string read_record(std::FILE* file, const Record& record) {
  const std::uint64_t position = data_position(file, record);
  return position == 0 ? std::string() : read(file, position, record.size);
}

std::string unpack_record(std::FILE* file, const Record& record) {
  if (!record.compressed) return read_record(file, record);
  const std::uint64_t position = stored_position(file, record);
  if (position == 0) return std::string();
  return inflate(read(file, position, record.stored_size), static_cast<std::size_t>(record.size));
}

Diagnosis why_not_torchscript(const Archive& archive) {
  const char* const save = "in Python: torch.jit.script(model).save(\"model.pt\")";
  switch (archive.state) {
    case Archive::State::kEmpty:
      return {"the file is empty", ""};
    case Archive::State::kTruncatedZip:
      return {"the zip archive is truncated or damaged", "copy or export the file again"};
    case Archive::State::kImpossible:
      return {"the zip archive is damaged: " + archive.problem, "copy or export the file again"};
    case Archive::State::kPickle:
      return {"the file is a pickle (written by torch.save of an old release), not an archive",
              save};
    case Archive::State::kMobile:
      return {"the file is a model for the mobile interpreter, in flatbuffer form", save};
    case Archive::State::kNotZip:
      return {"the file is not a zip archive", save};
    case Archive::State::kZip:
      break;
  }
  if (!archive.has_folder && archive.is_torchscript()) {
    return {"its records do not lie in a folder of the archive, as libtorch wants them",
            "zip the unpacked folder itself: zip -0 -r model.pt model/"};
  }
  if (archive.has("bytecode.pkl") && !archive.has_below("code/")) {
    return {"the file is a model for the mobile interpreter, which holds no TorchScript code",
            save};
  }
  if (archive.is_torchscript()) return {};
  const bool exported =
      archive.has("archive_format") || archive.has("serialized_exported_program.json") ||
      std::any_of(archive.records.begin(), archive.records.end(), [](const Record& record) {
        return record.name.find("aotinductor/") != std::string::npos;
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
