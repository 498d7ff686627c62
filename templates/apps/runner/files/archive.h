// A look into a zip archive without torch: the names and places of its records, and why it is not a
// model.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace runner {

struct Record {
  std::string name;          // without the leading folder
  std::uint64_t header = 0;  // where its local header begins
  std::uint64_t size = 0;
  std::uint64_t stored_size = 0;  // what it takes in the file
  bool compressed = false;
};

struct Archive {
  enum class State { kZip, kEmpty, kTruncatedZip, kImpossible, kPickle, kMobile, kNotZip };

  State state = State::kNotZip;
  std::string problem;  // kImpossible: what its directory claims
  std::vector<Record> records;
  bool has_folder = false;     // of a model: that of the first record, where libtorch looks for all
  std::string format_version;  // of TorchScript's format, where there is one

  const Record* find(const std::string& name) const;
  bool has(const std::string& name) const { return find(name) != nullptr; }
  bool has_below(const std::string& folder) const;
  bool is_torchscript() const;
  std::vector<std::string> extra_files() const;
};

// Sizes are checked against the file's, so that nobody allocates what a damaged directory claims.
// Throws Error (kModelNotLoaded) if the file cannot be opened.
Archive read_archive(const std::string& path);
Archive read_archive(std::FILE* file);

// Where the bytes of an uncompressed record begin; 0 for none.
std::uint64_t data_position(std::FILE* file, const Record& record);

// The bytes of an uncompressed record; empty for none.
std::string read_record(std::FILE* file, const Record& record);

// The bytes of a record, which may be compressed, as far as they can be read.
std::string unpack_record(std::FILE* file, const Record& record);

// What the file is, if it is certainly not a TorchScript archive: {message, hint}. Else empty.
struct Diagnosis {
  std::string message;
  std::string hint;
};
Diagnosis why_not_torchscript(const Archive& archive);

}  // namespace runner
