#include "program/platform.h"

#include <cerrno>
#include <cstring>

#include "program/error.h"

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
// windows.h first
#include <shellapi.h>
#else
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif
#endif

namespace runner {

#ifdef _WIN32

namespace {

std::wstring widen(const std::string& text) {
  const int size = static_cast<int>(text.size());
  std::wstring wide(MultiByteToWideChar(CP_UTF8, 0, text.data(), size, nullptr, 0), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text.data(), size, &wide[0], static_cast<int>(wide.size()));
  return wide;
}

std::string narrow(const wchar_t* wide) {
  const int length = static_cast<int>(std::wcslen(wide));
  std::string text(WideCharToMultiByte(CP_UTF8, 0, wide, length, nullptr, 0, nullptr, nullptr),
                   '\0');
  WideCharToMultiByte(CP_UTF8, 0, wide, length, &text[0], static_cast<int>(text.size()), nullptr,
                      nullptr);
  return text;
}

std::string executable() {
  std::vector<wchar_t> buffer(32768);  // the longest path that Windows has
  GetModuleFileNameW(nullptr, buffer.data(), static_cast<DWORD>(buffer.size()));
  return narrow(buffer.data());
}

}  // namespace

std::vector<std::string> command_line(int, char**) {
  SetConsoleOutputCP(CP_UTF8);
  int count = 0;
  wchar_t** wide = CommandLineToArgvW(GetCommandLineW(), &count);
  std::vector<std::string> arguments;
  for (int i = 1; i < count; ++i) arguments.push_back(narrow(wide[i]));
  LocalFree(wide);
  return arguments;
}

File open_file(const std::string& path, bool write) {
  return File(_wfopen(widen(path).c_str(), write ? L"wb" : L"rb"));
}

std::uint64_t file_size(std::FILE* file) {
  _fseeki64(file, 0, SEEK_END);
  const auto size = _ftelli64(file);
  _fseeki64(file, 0, SEEK_SET);
  return size < 0 ? 0 : static_cast<std::uint64_t>(size);
}

bool seek(std::FILE* file, std::uint64_t position) {
  return _fseeki64(file, static_cast<long long>(position), SEEK_SET) == 0;
}

void load_library(const std::string& path) {
  if (!open_file(path)) {
    throw Error(kModelNotLoaded, "no such operator library: " + path);
  }
  std::vector<wchar_t> full(32768);
  GetFullPathNameW(widen(path).c_str(), static_cast<DWORD>(full.size()), full.data(), nullptr);
  if (LoadLibraryExW(full.data(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH) == nullptr) {
    throw Error(kModelNotLoaded,
                "the operator library " + path + " cannot be loaded (Windows error " +
                    std::to_string(GetLastError()) + ")",
                "error 126 means that a DLL which it needs is missing");
  }
}

#else

namespace {

std::string executable() {
#ifdef __APPLE__
  std::uint32_t size = 0;
  _NSGetExecutablePath(nullptr, &size);
  std::vector<char> buffer(size + 1);
  _NSGetExecutablePath(buffer.data(), &size);
  char* resolved = realpath(buffer.data(), nullptr);
  std::string path = resolved != nullptr ? resolved : buffer.data();
  std::free(resolved);
  return path;
#else
  std::vector<char> buffer(4096);
  for (;;) {
    const ssize_t length = readlink("/proc/self/exe", buffer.data(), buffer.size());
    if (length < 0) return std::string();
    if (static_cast<std::size_t>(length) < buffer.size())
      return {buffer.data(), buffer.data() + length};
    buffer.resize(buffer.size() * 2);
  }
#endif
}

}  // namespace

std::vector<std::string> command_line(int argc, char** argv) { return {argv + 1, argv + argc}; }

File open_file(const std::string& path, bool write) {
  struct stat status;
  // whoever reads a pipe may wait for ever, and looks for what stands at the end of a file
  if (!write && stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) &&
      !S_ISDIR(status.st_mode)) {
    throw Error(kUsage, path + " is a pipe or a device: a file is wanted");
  }
  File file(std::fopen(path.c_str(), write ? "wb" : "rb"));
  if (file && fstat(fileno(file.get()), &status) == 0 && S_ISDIR(status.st_mode)) {
    file.reset();
    errno = EISDIR;
  }
  return file;
}

std::uint64_t file_size(std::FILE* file) {
  if (fseeko(file, 0, SEEK_END) != 0) return 0;
  const off_t size = ftello(file);
  std::rewind(file);
  return size < 0 ? 0 : static_cast<std::uint64_t>(size);
}

bool seek(std::FILE* file, std::uint64_t position) {
  return fseeko(file, static_cast<off_t>(position), SEEK_SET) == 0;
}

void load_library(const std::string& path) {
  if (!open_file(path)) {
    throw Error(kModelNotLoaded,
                "cannot open the operator library " + path + ": " + std::strerror(errno));
  }
  // Without a slash dlopen would search the system's folders.
  const std::string name = path.find('/') == std::string::npos ? "./" + path : path;
  if (dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* reason = dlerror();
    throw Error(kModelNotLoaded, "the operator library " + path + " cannot be loaded: " +
                                     (reason != nullptr ? reason : "unknown reason"));
  }
}

#endif

std::string beside_executable(const std::string& path) {
#ifdef _WIN32
  const bool absolute = path.size() > 1 && (path[1] == ':' || path[0] == '\\' || path[0] == '/');
  const char* const separators = "/\\";
#else
  const bool absolute = !path.empty() && path[0] == '/';
  const char* const separators = "/";
#endif
  if (absolute) return path;
  const std::string program = executable();
  const std::size_t end = program.find_last_of(separators);
  return end == std::string::npos ? path : program.substr(0, end + 1) + path;
}

}  // namespace runner
