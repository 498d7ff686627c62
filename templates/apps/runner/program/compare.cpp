#include "program/compare.h"

#include <cmath>
#include <complex>
#include <cstring>
#include <limits>

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
    const bool sequences = is_sequence(actual) && is_sequence(expected);
    if (actual.kind != expected.kind && !sequences) {
      return differ(place, "is " + summary(actual) + ", expected " + summary(expected));
    }
    switch (actual.kind) {
      case Kind::kNone:
        return;
      case Kind::kBool:
      case Kind::kInt:
        return numbers(place, Limits{0, 0}, actual, expected);
      case Kind::kFloat:
      case Kind::kComplex:
        return numbers(place, default_limits(Element::kFloat64), actual, expected);
      case Kind::kString:
      case Kind::kOther:
        if (actual.text != expected.text) {
          differ(place, "is " + summary(actual) + ", expected " + summary(expected));
        }
        return;
      case Kind::kTensor:
        return tensors(place, *actual.tensor, *expected.tensor);
      case Kind::kList:
      case Kind::kTuple:
        return items(place, actual, expected);
      case Kind::kDict:
        return dicts(place, actual, expected);
    }
  }

  Comparison result;

 private:
  static bool is_sequence(const Value& value) {
    return value.kind == Kind::kList || value.kind == Kind::kTuple;
  }

  void differ(const std::string& place, const std::string& message) {
    if (!result.match) return;  // the first place is the one to report
    result.match = false;
    result.place = place;
    result.message = message;
  }

  Limits limits(Limits defaults) const {
    return {tolerance_.rtol >= 0 ? tolerance_.rtol : defaults.rtol,
            tolerance_.atol >= 0 ? tolerance_.atol : defaults.atol};
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

  static Difference difference(std::complex<double> a, std::complex<double> e, Limits limit) {
    const bool same_nan = std::isnan(std::abs(a)) && std::isnan(std::abs(e));
    if (a == e || same_nan) return {0, true};
    const double absolute = finite_or_infinity(std::abs(a - e));
    return {absolute, absolute <= limit.atol + limit.rtol * std::abs(e) && std::isfinite(absolute)};
  }

  void note(double absolute, double reference) {
    if (absolute > result.max_absolute) result.max_absolute = absolute;
    const double relative = reference != 0 ? absolute / std::fabs(reference) : 0;
    if (relative > result.max_relative) result.max_relative = relative;
  }

  void numbers(const std::string& place, Limits defaults, const Value& actual,
               const Value& expected) {
    const bool exact = actual.kind == Kind::kInt || actual.kind == Kind::kBool;
    const std::complex<double> a = exact ? std::complex<double>(actual.integer)
                                         : std::complex<double>(actual.real, actual.imaginary);
    const std::complex<double> e = exact ? std::complex<double>(expected.integer)
                                         : std::complex<double>(expected.real, expected.imaginary);
    const Difference found = difference(a, e, limits(defaults));
    if (exact && actual.integer == expected.integer) return;
    note(found.absolute, std::abs(e));
    if (!found.close || (exact && found.absolute == 0)) {
      differ(place, "is " + summary(actual) + ", expected " + summary(expected));
    }
  }

  void tensors(const std::string& place, const Tensor& actual, const Tensor& expected) {
    if (actual.dtype != expected.dtype || actual.shape != expected.shape) {
      return differ(place, "is " + describe(actual) + ", expected " + describe(expected));
    }
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
        const std::complex<double> e(reference, expected.imaginary(i));
        found = difference({actual.real(i), actual.imaginary(i)}, e, limit);
        reference = std::abs(e);
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
    differ(place, std::to_string(different) + " of " + std::to_string(count) +
                      (count == 1 ? " value differs" : " values differ") + ", largest difference " +
                      number_text(worst_absolute) + " at " + index_text(actual, worst) + " (" +
                      element_text(actual, worst) + ", expected " + element_text(expected, worst) +
                      ")");
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
      return differ(place, "is " + summary(actual) + ", expected " + summary(expected));
    }
    for (std::size_t i = 0; i < actual.items.size(); ++i) {
      values(place + "[" + std::to_string(i) + "]", actual.items[i], expected.items[i]);
    }
  }

  static const Value* lookup(const Value& dict, const Value& key) {
    for (std::size_t i = 0; i < dict.items.size(); i += 2) {
      if (key_text(dict.items[i]) == key_text(key)) return &dict.items[i + 1];
    }
    return nullptr;
  }

  void dicts(const std::string& place, const Value& actual, const Value& expected) {
    for (std::size_t i = 0; i < expected.items.size(); i += 2) {
      const std::string inner = place + "[" + key_text(expected.items[i]) + "]";
      const Value* value = lookup(actual, expected.items[i]);
      if (value == nullptr) {
        differ(inner, "is missing");
      } else {
        values(inner, *value, expected.items[i + 1]);
      }
    }
    for (std::size_t i = 0; i < actual.items.size(); i += 2) {
      if (lookup(expected, actual.items[i]) == nullptr) {
        differ(place + "[" + key_text(actual.items[i]) + "]", "is not in the expected outputs");
      }
    }
  }

  Tolerance tolerance_;
};

}  // namespace

Comparison compare(const Value& actual, const Value& expected, const Tolerance& tolerance) {
  Comparer comparer(tolerance);
  comparer.values("output", actual, expected);
  return comparer.result;
}

}  // namespace runner
