#include "program/input_spec.h"

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "program/error.h"

namespace runner {
namespace {

using InputKind = InputSpec::Kind;

const char* const kDtypes[] = {
    "float16",   "bfloat16",      "float32",     "float64",         "complex32",
    "complex64", "complex128",    "bool",        "uint8",           "int8",
    "int16",     "int32",         "int64",       "uint16",          "uint32",
    "uint64",    "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
};

const char* const kAliases[][2] = {
    {"half", "float16"},  {"f2", "float16"},     {"fp16", "float16"},       {"bf16", "bfloat16"},
    {"float", "float32"}, {"f4", "float32"},     {"fp32", "float32"},       {"double", "float64"},
    {"f8", "float64"},    {"fp64", "float64"},   {"chalf", "complex32"},    {"cfloat", "complex64"},
    {"c8", "complex64"},  {"c16", "complex128"}, {"cdouble", "complex128"}, {"u1", "uint8"},
    {"byte", "uint8"},    {"i1", "int8"},        {"char", "int8"},          {"i2", "int16"},
    {"short", "int16"},   {"i4", "int32"},       {"int", "int32"},          {"i8", "int64"},
    {"long", "int64"},    {"u2", "uint16"},      {"u4", "uint32"},          {"u8", "uint64"},
};

[[noreturn]] void reject(const std::string& source, const std::string& what,
                         const std::string& hint = std::string()) {
  const std::string shown = source.size() > 200 ? source.substr(0, 200) + "..." : source;
  throw Error(kUsage, "--input " + shown + ": " + what, hint);
}

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

bool ends_with(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() &&
         text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

bool read_integer(const std::string& text, std::int64_t* value) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0]))) return false;
  char* end = nullptr;
  errno = 0;
  *value = std::strtoll(text.c_str(), &end, 10);
  return *end == '\0' && errno != ERANGE;
}

bool read_real(const std::string& text, double* value) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0]))) return false;
  char* end = nullptr;
  *value = std::strtod(text.c_str(), &end);
  return *end == '\0';
}

bool read_bool(const std::string& text, std::int64_t* value) {
  *value = text == "true" || text == "True" || text == "1";
  return *value != 0 || text == "false" || text == "False" || text == "0";
}

// Splits at a separator that is not inside brackets. An empty text has no parts.
std::vector<std::string> split(const std::string& text, const std::string& separators) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  int depth = 0;
  parts.emplace_back();
  for (char c : text) {
    if (c == '[' || c == '(') ++depth;
    if (c == ']' || c == ')') --depth;
    if (depth == 0 && separators.find(c) != std::string::npos) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// Lists in lists; more are a mistake.
const int kMostBrackets = 100;

InputSpec parse_spec(const std::string& source, const std::string& text, int depth);

std::vector<std::int64_t> parse_shape(const std::string& source, const std::string& text) {
  std::vector<std::int64_t> shape;
  for (const std::string& part : split(text, "x,")) {
    std::int64_t size = 0;
    if (!read_integer(part, &size) || size < 0) {
      reject(source, "'" + text + "' is not a shape", "a shape is 1x3x224x224, or nothing for 0-d");
    }
    shape.push_back(size);
  }
  return shape;
}

// SHAPE[:DTYPE]
void parse_fill(const std::string& source, const std::string& text, InputSpec* spec) {
  const std::size_t colon = text.find(':');
  spec->shape = parse_shape(source, text.substr(0, colon));
  if (colon == std::string::npos) return;
  try {
    spec->dtype = canonical_dtype(text.substr(colon + 1));
  } catch (const Error& error) {
    reject(source, error.what(), error.hint);
  }
}

// NUMBER:SHAPE[:DTYPE]; gives the number's text.
std::string parse_number_and_fill(const std::string& source, const std::string& text,
                                  InputSpec* spec) {
  const std::size_t colon = text.find(':');
  if (colon != std::string::npos) parse_fill(source, text.substr(colon + 1), spec);
  return text.substr(0, colon);
}

void parse_items(const std::string& source, const std::string& text, const std::string& prefix,
                 const std::string& separators, int depth, InputSpec* spec) {
  if (depth >= kMostBrackets) {
    reject(source, "is nested more than " + std::to_string(kMostBrackets) + " deep");
  }
  for (const std::string& part : split(text, separators)) {
    spec->items.push_back(parse_spec(source, prefix + part, depth + 1));
  }
}

bool parse_prefixed(const std::string& source, const std::string& text, int depth,
                    InputSpec* spec) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return false;
  const std::string prefix = text.substr(0, colon);
  const std::string rest = text.substr(colon + 1);

  static const std::pair<const char*, InputKind> kFills[] = {
      {"ones", InputKind::kOnes},   {"zeros", InputKind::kZeros},   {"rand", InputKind::kRand},
      {"randn", InputKind::kRandn}, {"arange", InputKind::kArange},
  };
  for (const auto& fill : kFills) {
    if (prefix == fill.first) {
      spec->kind = fill.second;
      parse_fill(source, rest, spec);
      return true;
    }
  }
  if (prefix == "randint") {
    spec->kind = InputKind::kRandint;
    if (!read_integer(parse_number_and_fill(source, rest, spec), &spec->integer) ||
        spec->integer < 1) {
      reject(source, "no upper bound", "randint:1000:1x16 gives numbers from 0 to 999");
    }
  } else if (prefix == "full") {
    spec->kind = InputKind::kFull;
    if (!read_real(parse_number_and_fill(source, rest, spec), &spec->real)) {
      reject(source, "no value", "full:0.5:1x16 is filled with 0.5");
    }
  } else if (prefix == "file" || prefix == "args") {
    spec->text = rest;
    spec->kind = prefix == "args"          ? InputKind::kArgsFile
                 : ends_with(rest, ".npy") ? InputKind::kNpyFile
                                           : InputKind::kPtFile;
  } else if (prefix == "str") {
    spec->kind = InputKind::kString;
    spec->text = rest;
  } else if (prefix == "int") {
    spec->kind = InputKind::kInt;
    if (!read_integer(rest, &spec->integer)) reject(source, "'" + rest + "' is not an integer");
  } else if (prefix == "float") {
    spec->kind = InputKind::kFloat;
    if (!read_real(rest, &spec->real)) reject(source, "'" + rest + "' is not a number");
  } else if (prefix == "bool") {
    spec->kind = InputKind::kBool;
    if (!read_bool(rest, &spec->integer)) reject(source, "'" + rest + "' is not true or false");
  } else if (prefix == "ints" || prefix == "floats" || prefix == "bools" || prefix == "strs") {
    spec->kind = InputKind::kList;
    parse_items(source, rest, prefix.substr(0, prefix.size() - 1) + ":", ",", depth, spec);
  } else {
    return false;
  }
  return true;
}

InputSpec parse_spec(const std::string& source, const std::string& text, int depth) {
  InputSpec spec;
  if (parse_prefixed(source, text, depth, &spec)) return spec;
  if (ends_with(text, ".npy")) {
    spec.kind = InputKind::kNpyFile;
    spec.text = text;
  } else if (ends_with(text, ".pt") || ends_with(text, ".pth")) {
    spec.kind = InputKind::kPtFile;
    spec.text = text;
  } else if (starts_with(text, "[") && ends_with(text, "]")) {
    spec.kind = InputKind::kList;
    parse_items(source, text.substr(1, text.size() - 2), "", ";", depth, &spec);
  } else if (starts_with(text, "(") && ends_with(text, ")")) {
    spec.kind = InputKind::kTuple;
    parse_items(source, text.substr(1, text.size() - 2), "", ";", depth, &spec);
  } else if (text == "none" || text == "None") {
    spec.kind = InputKind::kNone;
  } else if (read_integer(text, &spec.integer)) {  // before bool: 1 is a number
    spec.kind = InputKind::kInt;
  } else if (read_bool(text, &spec.integer)) {
    spec.kind = InputKind::kBool;
  } else if (read_real(text, &spec.real)) {
    spec.kind = InputKind::kFloat;
  } else {
    reject(source, "not understood",
           "for example ones:1x3x224x224, rand:1x3:float16, x.npy, x.pt, args:all.pt, 3, true, "
           "str:text, name=SPEC (see --help)");
  }
  return spec;
}

}  // namespace

std::string canonical_dtype(const std::string& name) {
  const std::string bare = starts_with(name, "torch.") ? name.substr(6) : name;
  for (const char* dtype : kDtypes) {
    if (bare == dtype) return dtype;
  }
  for (const auto& alias : kAliases) {
    if (bare == alias[0]) return alias[1];
  }
  throw Error(kUsage, "'" + name + "' is not a dtype",
              "for example float32, float16, bfloat16, int64, uint8, bool, complex64");
}

InputSpec parse_input(const std::string& source) {
  std::size_t end = 0;
  while (end < source.size() &&
         (std::isalnum(static_cast<unsigned char>(source[end])) || source[end] == '_')) {
    ++end;
  }
  const bool named = end > 0 && end < source.size() && source[end] == '=' &&
                     !std::isdigit(static_cast<unsigned char>(source[0]));
  InputSpec spec = parse_spec(source, named ? source.substr(end + 1) : source, 0);
  spec.source = source;
  if (named) {
    spec.name = source.substr(0, end);
    if (spec.kind == InputKind::kArgsFile)
      reject(source, "args: supplies all positional arguments");
  }
  return spec;
}

}  // namespace runner
