// The few things that differ between Linux, macOS and Windows. All strings are UTF-8.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace runner {

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

// The arguments after the program's name.
std::vector<std::string> command_line(int argc, char** argv);

// Like fopen, with binary mode; null and errno where it fails. A folder is not a file (EISDIR), nor
// is a pipe or a device that is to be read (throws Error).
File open_file(const std::string& path, bool write = false);

std::uint64_t file_size(std::FILE* file);  // leaves the position at the start
bool seek(std::FILE* file, std::uint64_t position);

// Path of a file named relative to the folder of the running executable; absolute paths stay.
std::string beside_executable(const std::string& path);

// Loads a shared library with all its symbols resolved and visible; it stays loaded. Throws Error.
void load_library(const std::string& path);

}  // namespace runner
