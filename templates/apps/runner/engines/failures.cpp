#include "engines/failures.h"

#include <cstring>
#include <sstream>

#include "engines/libtorch.h"
#include "files/archive.h"
#include "program/lines.h"
#include "values/torch_headers.h"

namespace runner {
namespace {

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

// Streamed into an ErrorReport, takes out what it already holds.
struct Peek {
  std::string* text;
};

std::ostream& operator<<(std::ostream& out, const Peek& peek) {
  const auto* buffer = dynamic_cast<const std::stringstream*>(&out);
  if (buffer != nullptr) *peek.text = buffer->str();
  return out;
}

std::string token_after(const std::string& text, const std::string& marker) {
  const std::size_t at = text.find(marker);
  if (at == std::string::npos) return std::string();
  const std::size_t start = at + marker.size();
  std::string token = text.substr(start, text.find_first_of(" \n\r,;'\"", start) - start);
  while (!token.empty() && (token.back() == '.' || token.back() == ':')) token.pop_back();
  return token;
}

// The operator whose arguments do not fit, as an error in the model's code begins: its schemas,
// each on a line of its own with a colon at the end, and under each what is wrong with it.
std::string misfit(const std::string& message) {
  std::string line;
  for (std::size_t at = 0; next_line(message, &at, &line);) {
    const std::size_t start = line.find_first_not_of(' ');
    const std::size_t end = line.find_first_of(".(", start);
    if (start == std::string::npos || starts_with(line, "Arguments for call") ||
        starts_with(line, "The following variants")) {
      continue;
    }
    const bool is_schema =
        line.back() == ':' && line.find("::") < end && line.find('(') < line.size();
    return is_schema ? line.substr(start, end - start) : std::string();
  }
  return std::string();
}

}  // namespace

std::string message_of(const std::exception& exception) {
  if (const auto* report = dynamic_cast<const torch::jit::ErrorReport*>(&exception)) {
    // Its what() adds the place in the model's source. It does not throw, so the program would end
    // if libtorch could not read that: 1.8 cannot for models of 1.10 and later.
    std::string text;
    *report << Peek{&text};
    if (!text.empty()) return text;
  }
  const auto* error = dynamic_cast<const c10::Error*>(&exception);
  std::string text = error != nullptr ? error->what_without_backtrace() : exception.what();
  return text.substr(0, text.find("\nException raised from"));
}

// The line that says what is wrong. The interpreter puts tracebacks of the model's code, which are
// indented, before it.
std::string essential_line(const std::string& message) {
  const std::size_t traceback = message.rfind("\nTraceback of TorchScript");
  std::size_t at = traceback == std::string::npos ? 0 : message.find('\n', traceback + 1);
  if (at == std::string::npos) at = 0;
  std::string first;
  for (std::string line; next_line(message, &at, &line);) {
    if (line.empty() || line[0] == ' ' || line[0] == '~') continue;
    first = line;
    break;
  }
  if (first.empty()) first = message.substr(0, message.find('\n'));
  for (const char* prefix : {"RuntimeError: ", "builtins."}) {
    if (starts_with(first, prefix)) first = first.substr(std::strlen(prefix));
  }
  return first.substr(0, first.find(". This could be because"));  // a list of all backends
}

Error load_error(const std::string& path, const std::exception& exception) {
  const std::string message = message_of(exception);
  const std::string op = token_after(message, "Unknown builtin op: ");
  if (!op.empty()) {
    const std::string space = op.substr(0, op.find(':'));
    const std::string what = path + ": unknown operator " + op;
    if (space == "aten" || space == "prim") {
      return Error(kModelNotLoaded,
                   what + " (libtorch " + libtorch_version() + " does not have it)",
                   "export the model with an older torch, or use a newer libtorch");
    }
    return Error(kModelNotLoaded, what + ": no library with namespace " + space + " is loaded",
                 "link the operator library of namespace " + space +
                     " into the program, or pass it with --ops FILE");
  }
  const std::string other = misfit(message);
  if (!other.empty()) {
    const bool is_own = starts_with(other, "aten::") || starts_with(other, "prim::");
    return Error(
        kModelNotLoaded,
        path + ": operator " + other + " takes other arguments " +
            (is_own ? "in libtorch " + libtorch_version() : "in the library that is loaded") +
            " than the model gives it",
        is_own ? "export the model with an older torch, or use a newer libtorch"
               : "use the operator library that the model was exported with");
  }
  const std::string class_name = token_after(message, "__torch__.torch.classes.");
  if (!class_name.empty() && message.find("Unknown type name") != std::string::npos) {
    return Error(kModelNotLoaded, path + ": unknown class torch.classes." + class_name,
                 "link the operator library that registers it, or pass it with --ops FILE");
  }
  if (read_archive(path).has("model.json")) {
    return Error(kModelNotLoaded,
                 path +
                     ": the file has the format of torch 1.0 to 1.3 (model.json), which libtorch " +
                     libtorch_version() + " does not read",
                 "load it in Python with a torch of that time, and save it again with a newer one");
  }
  if (message.find("maximum supported version") != std::string::npos) {
    return Error(kModelNotLoaded, path + ": " + essential_line(message),
                 "this program uses libtorch " + libtorch_version() +
                     ": use a newer one, or export the model with an older torch");
  }
  const bool newer = message.find("Unknown type name") != std::string::npos;
  return Error(kModelNotLoaded, path + " cannot be loaded: " + essential_line(message),
               newer ? "the model may come from a newer torch than this program's libtorch " +
                           libtorch_version()
                     : "");
}

}  // namespace runner
