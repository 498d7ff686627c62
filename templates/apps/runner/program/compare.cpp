#include "program/compare.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_map>

#include "program/error.h"
#include "program/print.h"

namespace runner {
namespace {

using Kind = Value::Kind;

struct Limits {
  double rtol;
  double atol;
};

// The table in torch.testing.assert_close's documentation.
Limits default_limits(Element element) {
  switch (element) {
    case Element::kFloat16:
    case Element::kComplex32:
      return {1e-3, 1e-5};
    case Element::kBFloat16:
      return {1.6e-2, 1e-5};
    case Element::kFloat32:
    case Element::kComplex64:
      return {1.3e-6, 1e-5};
    case Element::kFloat64:
    case Element::kComplex128:
      return {1e-7, 1e-7};
    default:
      return {0, 0};
  }
}

class Comparer {
 public:
  explicit Comparer(const Tolerance& tolerance) : tolerance_(tolerance) {}

  void values(const std::string& place, const Value& actual, const Value& expected) {
    if (actual.kind == Kind::kEnum) return members(place, actual, expected);
    if (has_attributes(actual) && (has_attributes(expected) || expected.kind == Kind::kDict)) {
      return dicts(place, as_dict(actual), as_dict(expected));
    }
    if (is_sequence(actual) && is_sequence(expected)) return items(place, actual, expected);
    if (is_text(actual) && is_text(expected)) {
      if (actual.text != expected.text) different(place, "value", actual, expected);
      return;
    }
    if (actual.kind != expected.kind) return different(place, "structure", actual, expected);
    switch (actual.kind) {
      case Kind::kBool:
      case Kind::kInt:
        return numbers(place, Limits{0, 0}, actual, expected);
      case Kind::kFloat:
      case Kind::kComplex:
        return numbers(place, default_limits(Element::kFloat64), actual, expected);
      case Kind::kTensor:
        return tensors(place, *actual.tensor, *expected.tensor);
      case Kind::kDict:
        return dicts(place, actual, expected);
      default:
        return;  // None
    }
  }

  Comparison result;

 private:
  static bool has_attributes(const Value& value) {
    return value.kind == Kind::kObject && !value.names.empty();
  }

  static bool is_sequence(const Value& value) {
    return value.kind == Kind::kList || value.kind == Kind::kTuple;
  }

  // Files of older versions of this program have devices as strings.
  static bool is_text(const Value& value) {
    return value.kind == Kind::kString || value.kind == Kind::kDevice;
  }

  static Value as_dict(const Value& object) {
    if (object.kind == Kind::kDict) return object;
    Value dict;
    dict.kind = Kind::kDict;
    for (std::size_t i = 0; i < object.items.size(); ++i) {
      dict.items.push_back(make_text(Kind::kString, object.names[i]));
      dict.items.push_back(object.items[i]);
    }
    return dict;
  }

  void differ(const std::string& place, const std::string& kind, const std::string& message,
              bool tolerable = false, std::int64_t different = 1, std::int64_t compared = 1) {
    if (!result.match) return;  // the first place is the one to report
    result.match = false;
    result.place = place;
    result.message = message;
    result.kind = kind;
    result.tolerable = tolerable;
    result.different = different;
    result.compared = compared;
  }

  void different(const std::string& place, const std::string& kind, const Value& actual,
                 const Value& expected, bool tolerable = false) {
    differ(place, kind, "is " + summary(actual) + ", expected " + summary(expected), tolerable);
  }

  // An enum's member is expected as its value, as its name, or as Python pickles it: Color(1).
  void members(const std::string& place, const Value& actual, const Value& expected) {
    const bool wrapped = expected.kind == Kind::kObject && expected.items.size() == 1;
    const Value& wanted = wrapped || expected.kind == Kind::kEnum ? expected.items[0] : expected;
    if (wanted.kind == Kind::kString && wanted.text == actual.names[0]) return;
    Comparer inner(tolerance_);
    inner.values(place, actual.items[0], wanted);
    if (!inner.result.match) different(place, "value", actual, expected);
  }

  Limits limits(Limits defaults) const {
    return {tolerance_.rtol >= 0 ? tolerance_.rtol : defaults.rtol,
            tolerance_.atol >= 0 ? tolerance_.atol : defaults.atol};
  }

  // Two doubles: <complex> takes a compiler a tenth of a second to read.
  struct Number {
    double real;
    double imaginary;
  };

  static double size(Number number) { return std::hypot(number.real, number.imaginary); }

  static Number number(const Value& value) {
    const bool whole = value.kind == Kind::kInt || value.kind == Kind::kBool;
    if (whole) return {static_cast<double>(value.integer), 0};
    return {value.real, value.imaginary};
  }

  // The part of an element that is compared, and whether two of them are close.
  struct Difference {
    double absolute;
    bool close;
  };

  // NaN against a number is as far apart as can be, and must win every "largest".
  static double finite_or_infinity(double value) {
    return std::isnan(value) ? std::numeric_limits<double>::infinity() : value;
  }

  static Difference difference(Number a, Number e, Limits limit) {
    const bool same_nan = std::isnan(size(a)) && std::isnan(size(e));
    if ((a.real == e.real && a.imaginary == e.imaginary) || same_nan) return {0, true};
    const double absolute = finite_or_infinity(size({a.real - e.real, a.imaginary - e.imaginary}));
    return {absolute, absolute <= limit.atol + limit.rtol * size(e) && std::isfinite(absolute)};
  }

  void note(double absolute, double reference) {
    if (absolute > result.max_absolute) result.max_absolute = absolute;
    const double relative = reference != 0 ? absolute / std::fabs(reference) : 0;
    if (relative > result.max_relative) result.max_relative = relative;
  }

  void numbers(const std::string& place, Limits defaults, const Value& actual,
               const Value& expected) {
    const bool exact = actual.kind == Kind::kInt || actual.kind == Kind::kBool;
    const Number a = number(actual);
    const Number e = number(expected);
    const Difference found = difference(a, e, limits(defaults));
    if (exact && actual.integer == expected.integer) return;
    note(found.absolute, size(e));
    if (!found.close || (exact && found.absolute == 0)) {
      different(place, "value", actual, expected, !exact);
    }
  }

  void tensors(const std::string& place, const Tensor& actual, const Tensor& expected) {
    const char* kind = actual.dtype != expected.dtype   ? "dtype"
                       : actual.shape != expected.shape ? "shape"
                       : form(actual) != form(expected) ? "layout"
                                                        : nullptr;
    if (kind != nullptr) {
      return differ(place, kind, "is " + describe(actual) + ", expected " + describe(expected));
    }
    if (is_sparse(actual)) return sparse_tensors(place, *actual.packing, *expected.packing);
    const std::int64_t count = actual.count();
    if (count == 0 || std::memcmp(actual.data.get(), expected.data.get(), actual.bytes()) == 0) {
      return;
    }
    const Limits limit = limits(default_limits(actual.element));
    const bool exact = !is_floating(actual.element) && !is_complex(actual.element);
    std::int64_t different = 0;
    std::int64_t worst = 0;
    double worst_absolute = -1;
    for (std::int64_t i = 0; i < count; ++i) {
      if (exact && actual.integer(i) == expected.integer(i)) continue;
      Difference found;
      double reference = expected.real(i);
      if (is_complex(actual.element)) {
        const Number e{reference, expected.imaginary(i)};
        found = difference({actual.real(i), actual.imaginary(i)}, e, limit);
        reference = size(e);
      } else {
        found = real_difference(actual.real(i), reference, limit);
      }
      note(found.absolute, reference);
      if (found.close && !(exact && found.absolute == 0)) continue;
      ++different;
      if (found.absolute > worst_absolute) {
        worst_absolute = found.absolute;
        worst = i;
      }
    }
    if (different == 0) return;
    differ(place, "value",
           std::to_string(different) + " of " + std::to_string(count) +
               (count == 1 ? " value differs" : " values differ") + ", largest difference " +
               number_text(worst_absolute) + " at " + index_text(actual, worst) + " (" +
               element_text(actual, worst) + ", expected " + element_text(expected, worst) + ")",
           !exact, different, count);
  }

  static std::string form(const Tensor& tensor) {
    return tensor.packing ? tensor.packing->form : std::string();
  }

  void sparse_tensors(const std::string& place, const Packing& actual, const Packing& expected) {
    for (std::size_t i = 0; i < actual.parts.size(); ++i) {
      tensors(place + "." + part_name(actual.form, i), actual.parts[i], expected.parts[i]);
    }
  }

  static Difference real_difference(double a, double e, Limits limit) {
    if (a == e || (std::isnan(a) && std::isnan(e))) return {0, true};
    const double absolute = finite_or_infinity(std::fabs(a - e));
    return {absolute,
            absolute <= limit.atol + limit.rtol * std::fabs(e) && std::isfinite(absolute)};
  }

  static std::string index_text(const Tensor& tensor, std::int64_t flat) {
    std::string text;
    for (std::size_t d = tensor.shape.size(); d-- > 0;) {
      text = std::to_string(flat % tensor.shape[d]) + (text.empty() ? "" : ", ") + text;
      flat /= tensor.shape[d];
    }
    return "[" + text + "]";
  }

  void items(const std::string& place, const Value& actual, const Value& expected) {
    if (actual.items.size() != expected.items.size()) {
      return different(place, "structure", actual, expected);
    }
    for (std::size_t i = 0; i < actual.items.size(); ++i) {
      values(place + "[" + std::to_string(i) + "]", actual.items[i], expected.items[i]);
    }
  }

  // Where the value of a key is.
  static std::unordered_map<std::string, std::size_t> by_key(const Value& dict) {
    std::unordered_map<std::string, std::size_t> result;
    for (std::size_t i = 0; i < dict.items.size(); i += 2) result[key_text(dict.items[i])] = i + 1;
    return result;
  }

  void dicts(const std::string& place, const Value& actual, const Value& expected) {
    const auto found = by_key(actual);
    for (std::size_t i = 0; i < expected.items.size(); i += 2) {
      const std::string key = key_text(expected.items[i]);
      const auto value = found.find(key);
      if (value == found.end()) {
        differ(place + "[" + key + "]", "structure", "is missing");
      } else {
        values(place + "[" + key + "]", actual.items[value->second], expected.items[i + 1]);
      }
    }
    const auto wanted = by_key(expected);
    for (std::size_t i = 0; i < actual.items.size(); i += 2) {
      const std::string key = key_text(actual.items[i]);
      if (wanted.count(key) == 0) {
        differ(place + "[" + key + "]", "structure", "is not in the expected outputs");
      }
    }
  }

  Tolerance tolerance_;
};

void reject_incomparable(const std::string& place, const Value& value) {
  if (value.kind == Kind::kOther) {
    throw Error(kRunFailed, place + " is a " + value.text + ", which cannot be compared",
                "let the model return another type");
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    reject_incomparable(place + "[" + std::to_string(i) + "]", value.items[i]);
  }
}

}  // namespace

Comparison compare(const Value& actual, const Value& expected, const Tolerance& tolerance) {
  reject_incomparable("output", actual);
  Comparer comparer(tolerance);
  comparer.values("output", actual, expected);
  return comparer.result;
}

}  // namespace runner
