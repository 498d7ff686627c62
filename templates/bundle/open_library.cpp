// Opens a C library, and the model that it opens by default: LIBRARY PREFIX [model]. It proves a
// bundle, whose other files need not know any program.
#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace {

void* library;
const char* prefix;

template <typename Function>
Function find(const char* name) {
  char symbol[512];
  std::snprintf(symbol, sizeof(symbol), "%s_%s", prefix, name);
  return reinterpret_cast<Function>(dlsym(library, symbol));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  prefix = argv[2];
  library = dlopen(argv[1], RTLD_NOW);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  const auto version = find<const char* (*)()>("version");
  const auto last_error = find<const char* (*)()>("last_error");
  const auto open = find<int (*)(const void*, std::uint64_t*)>("open");
  const auto schema = find<int (*)(std::uint64_t, std::size_t, const char**)>("method_schema");
  if (version == nullptr || last_error == nullptr || open == nullptr || schema == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  if (argc == 3) return std::printf("loads: %s\n", version()) < 0;
  std::uint64_t model = 0;
  const char* text = "";
  if (open(nullptr, &model) != 0 || schema(model, 0, &text) != 0) {
    std::fprintf(stderr, "%s\n", last_error());
    return 1;
  }
  return std::printf("opens its model: %s\n", text) < 0;
}
