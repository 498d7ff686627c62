// A look into a model file without torch: the names of its records, and why it is not a model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace runner {

struct Archive {
  enum class State { kZip, kEmpty, kTruncatedZip, kPickle, kNotZip };

  State state = State::kNotZip;
  std::vector<std::string> records;  // without the leading folder
  std::string format_version;        // of TorchScript's format, where there is one

  bool has(const std::string& record) const;
  bool is_torchscript() const;
  std::vector<std::string> extra_files() const;
};

// Throws Error (kModelNotLoaded) if the file cannot be opened.
Archive read_archive(const std::string& path);

// What the file is, if it is certainly not a TorchScript archive: {message, hint}. Else empty.
struct Diagnosis {
  std::string message;
  std::string hint;
};
Diagnosis why_not_torchscript(const Archive& archive);

}  // namespace runner
