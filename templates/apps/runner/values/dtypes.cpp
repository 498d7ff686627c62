#include "values/dtypes.h"

#include "engines/libtorch.h"
#include "program/error.h"

namespace runner {
namespace {

struct Dtype {
  const char* name;
  at::ScalarType type;
};

const Dtype kDtypes[] = {
    {"float32", at::kFloat},
    {"float64", at::kDouble},
    {"float16", at::kHalf},
    {"bfloat16", at::kBFloat16},
    {"uint8", at::kByte},
    {"int8", at::kChar},
    {"int16", at::kShort},
    {"int32", at::kInt},
    {"int64", at::kLong},
    {"bool", at::kBool},
    {"complex32", at::ScalarType::ComplexHalf},
    {"complex64", at::kComplexFloat},
    {"complex128", at::kComplexDouble},
    {"qint8", at::kQInt8},
    {"quint8", at::kQUInt8},
    {"qint32", at::kQInt32},
#if TORCH_AT_LEAST(2, 1)
    {"float8_e4m3fn", at::ScalarType::Float8_e4m3fn},
    {"float8_e5m2", at::ScalarType::Float8_e5m2},
#endif
#if TORCH_AT_LEAST(2, 2)
    {"float8_e4m3fnuz", at::ScalarType::Float8_e4m3fnuz},
    {"float8_e5m2fnuz", at::ScalarType::Float8_e5m2fnuz},
#endif
#if TORCH_AT_LEAST(2, 3)
    {"uint16", at::ScalarType::UInt16},
    {"uint32", at::ScalarType::UInt32},
    {"uint64", at::ScalarType::UInt64},
#endif
#if TORCH_AT_LEAST(2, 7)
    {"float8_e8m0fnu", at::ScalarType::Float8_e8m0fnu},
#endif
};

struct KnownDtypes {
  KnownDtype entries[static_cast<std::size_t>(at::ScalarType::NumOptions)];

  KnownDtypes() {
    int type = 0;
    for (KnownDtype& entry : entries) {
      entry.name = dtype_name(static_cast<at::ScalarType>(type++));
      entry.has_element = find_element(entry.name, &entry.element);
    }
  }
};

}  // namespace

const KnownDtype& known_dtype(at::ScalarType type) {
  static const KnownDtypes* const all = new KnownDtypes;
  return all->entries[static_cast<std::size_t>(type)];
}

std::string dtype_name(at::ScalarType type) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.type == type) return dtype.name;
  }
  return c10::toString(type);
}

at::ScalarType scalar_type(const std::string& name) {
  for (const Dtype& dtype : kDtypes) {
    if (name == dtype.name) return dtype.type;
  }
  throw Error(kUsage, "libtorch " + libtorch_version() + " has no dtype " + name);
}

}  // namespace runner
