// The little language of --input.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace runner {

struct InputSpec {
  enum class Kind {
    kOnes,
    kZeros,
    kRand,
    kRandn,
    kRandint,  // integer is the exclusive upper bound
    kArange,
    kFull,  // real is the value
    kNpyFile,
    kPtFile,
    kArgsFile,  // a .pt file with a tuple: all positional arguments
    kNone,
    kBool,    // integer
    kInt,     // integer
    kFloat,   // real
    kString,  // text
    kList,    // items
    kTuple,   // items
  };

  std::string name;    // of the argument; empty for a positional one
  std::string source;  // as written, for messages; not of items
  Kind kind = Kind::kNone;
  std::vector<std::int64_t> shape;
  std::string dtype;  // torch's name ("float32"); empty for the default
  std::int64_t integer = 0;
  double real = 0;
  std::string text;  // kString: the value; files: the path
  std::vector<InputSpec> items;
};

// [NAME=]SPEC as documented in --help. Throws Error (kUsage).
InputSpec parse_input(const std::string& source);

// "half" -> "float16". Throws Error (kUsage) for what torch does not have.
std::string canonical_dtype(const std::string& name);

}  // namespace runner
