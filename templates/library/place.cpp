#include "failure.h"
#include "things.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>

#include <cstdlib>
#endif

namespace tsl_library {
namespace {

// The file that this code was loaded from.
std::string own_file() {
#ifdef _WIN32
  HMODULE module = nullptr;
  const DWORD flags =
      GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  if (!GetModuleHandleExW(flags, reinterpret_cast<LPCWSTR>(&tsl_abi_version), &module)) return "";
  std::wstring wide(32768, L'\0');
  wide.resize(GetModuleFileNameW(module, &wide[0], static_cast<DWORD>(wide.size())));
  const int length = static_cast<int>(wide.size());
  std::string path(4 * wide.size(), '\0');
  path.resize(static_cast<std::size_t>(WideCharToMultiByte(
      CP_UTF8, 0, wide.data(), length, &path[0], static_cast<int>(path.size()), nullptr, nullptr)));
  return path;
#else
  Dl_info info;
  const auto address = reinterpret_cast<const void*>(&tsl_abi_version);
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "";
  char* const resolved = realpath(info.dli_fname, nullptr);
  const std::string path = resolved != nullptr ? resolved : info.dli_fname;
  std::free(resolved);
  return path;
#endif
}

// Found out when it is loaded: its path may be relative, and the process may go elsewhere.
const std::string own_path = own_file();

}  // namespace

std::string beside_library(const std::string& path) {
#ifdef _WIN32
  const bool absolute = path.size() > 1 && (path[1] == ':' || path[0] == '\\' || path[0] == '/');
  const char* const separators = "/\\";
#else
  const bool absolute = !path.empty() && path[0] == '/';
  const char* const separators = "/";
#endif
  if (absolute) return path;
  const std::size_t end = own_path.find_last_of(separators);
  return end == std::string::npos ? path : own_path.substr(0, end + 1) + path;
}

}  // namespace tsl_library
