#include "engines/arguments.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "engines/failures.h"
#include "files/npy.h"
#include "files/pt_reader.h"
#include "program/error.h"
#include "program/print.h"
#include "values/coerce.h"
#include "values/dtypes.h"
#include "values/from_torch.h"
#include "values/to_torch.h"

namespace runner {

using c10::IValue;

namespace {

at::Tensor make_filled(const InputSpec& spec) {
  const bool whole = spec.kind == InputSpec::Kind::kRandint;
  const auto dtype =
      spec.dtype.empty() ? (whole ? at::kLong : at::kFloat) : scalar_type(spec.dtype);
  const auto options = at::TensorOptions().dtype(dtype);
  switch (spec.kind) {
    case InputSpec::Kind::kOnes:
      return at::empty(spec.shape, options).fill_(1);
    case InputSpec::Kind::kZeros:
      return at::empty(spec.shape, options).zero_();
    case InputSpec::Kind::kFull:
      return at::empty(spec.shape, options).fill_(spec.real);
    case InputSpec::Kind::kRand:  // these three do what torch.rand, randn and randint do inside
      return at::empty(spec.shape, options).uniform_(0, 1);
    case InputSpec::Kind::kRandn:
      return at::empty(spec.shape, options).normal_(0, 1);
    case InputSpec::Kind::kRandint:
      return at::empty(spec.shape, options).random_(0, spec.integer);
    default: {
      const std::int64_t count = at::empty(spec.shape, options).numel();
      return at::arange(count, at::TensorOptions().dtype(at::kLong)).reshape(spec.shape).to(dtype);
    }
  }
}

Value to_value(const InputSpec& spec, const std::string& source) {
  using Kind = InputSpec::Kind;
  Value value;
  switch (spec.kind) {
    case Kind::kNone:
      return value;
    case Kind::kBool:
      value.kind = Value::Kind::kBool;
      value.integer = spec.integer != 0 ? 1 : 0;
      return value;
    case Kind::kInt:
      return make_int(spec.integer);
    case Kind::kFloat:
      value.kind = Value::Kind::kFloat;
      value.real = spec.real;
      return value;
    case Kind::kString:
      return make_text(Value::Kind::kString, spec.text);
    case Kind::kNpyFile:
      return make_tensor(read_npy(spec.text));
    case Kind::kPtFile:
    case Kind::kArgsFile:
      return read_pt(spec.text);
    case Kind::kList:
    case Kind::kTuple:
      value.kind = spec.kind == Kind::kList ? Value::Kind::kList : Value::Kind::kTuple;
      for (const InputSpec& item : spec.items) value.items.push_back(to_value(item, source));
      return value;
    default:
      break;
  }
  try {
    return make_tensor(from_torch(make_filled(spec)));
  } catch (const c10::Error& error) {
    throw Error(kUsage, "--input " + source + ": " + essential_line(message_of(error)));
  }
}

[[noreturn]] void reject(const torch::jit::Function& function, const std::string& what) {
  throw Error(kUsage, function.name() + "() " + what, "schema: " + schema_text(function));
}

IValue fit(const torch::jit::Function& function, const c10::Argument& argument, const Value& value,
           const at::Device& device) {
  const auto name = [&argument] { return "argument '" + argument.name() + "'"; };
  try {
    return coerce(value, argument.type(), device);
  } catch (const Misfit& misfit) {
    if (misfit.place.empty()) reject(function, name() + " " + misfit.what);
    reject(function, name() + " must be " + argument.type()->annotation_str() + ", not " +
                         summary(value) + ": " + misfit.place + " " + misfit.what);
  } catch (const std::exception& error) {  // libtorch refuses a key, or indices out of range
    reject(function, name() + ": " + essential_line(message_of(error)));
  }
}

using NamedValues = std::vector<std::pair<std::string, Value>>;

// The values at their places, without self, are given by a function.
template <typename ValueAt>
Stack fit_all(const torch::jit::Function& function, IValue self, std::size_t count,
              const ValueAt& value_at, NamedValues named, const at::Device& device) {
  const auto& parameters = function.getSchema().arguments();  // the first one is self
  if (count >= parameters.size()) {
    reject(function, "takes " + std::to_string(parameters.size() - 1) + " inputs, but got " +
                         std::to_string(count));
  }
  Stack arguments;
  arguments.reserve(parameters.size());
  arguments.push_back(std::move(self));
  for (std::size_t i = 1; i < parameters.size(); ++i) {
    const c10::Argument& parameter = parameters[i];
    const auto is_this = [&parameter](const std::pair<std::string, Value>& candidate) {
      return candidate.first == parameter.name();
    };
    const auto given = std::find_if(named.begin(), named.end(), is_this);
    if (i <= count) {
      if (given != named.end())
        reject(function, "got two inputs for argument '" + parameter.name() + "'");
      arguments.push_back(fit(function, parameter, value_at(i - 1), device));
    } else if (given != named.end()) {
      arguments.push_back(fit(function, parameter, given->second, device));
      named.erase(given);
      if (std::any_of(named.begin(), named.end(), is_this)) {
        reject(function, "got two inputs for argument '" + parameter.name() + "'");
      }
    } else if (parameter.default_value()) {
      arguments.push_back(*parameter.default_value());
    } else {
      reject(function, "needs an input for argument '" + parameter.name() + "'");
    }
  }
  if (!named.empty()) reject(function, "has no argument '" + named[0].first + "'");
  return arguments;
}

}  // namespace

std::string schema_text(const torch::jit::Function& function) {
  const c10::FunctionSchema& schema = function.getSchema();
  std::ostringstream text;
  text << function.name() << '(';
  const auto& arguments = schema.arguments();
  for (std::size_t i = 1; i < arguments.size(); ++i) {  // the first one is self
    if (i > 1) text << ", ";
    text << arguments[i].type()->annotation_str() << ' ' << arguments[i].name();
    if (arguments[i].default_value()) text << '=' << *arguments[i].default_value();
  }
  text << ") -> ";
  const auto& returns = schema.returns();
  if (returns.size() != 1) text << '(';
  for (std::size_t i = 0; i < returns.size(); ++i) {
    if (i > 0) text << ", ";
    text << returns[i].type()->annotation_str();
  }
  if (returns.size() != 1) text << ')';
  return text.str();
}

std::string describe_value(const IValue& value) {
  if (value.isTensor() && value.toTensor().defined()) {
    const at::Tensor& tensor = value.toTensor();
    Tensor shape_only;
    shape_only.dtype = dtype_name(tensor.scalar_type());
    shape_only.shape = tensor.sizes().vec();
    return describe(shape_only);
  }
  if (value.isNone()) return "None";
  return value.type()->annotation_str();
}

Given read_inputs(const std::vector<InputSpec>& inputs) {
  Given given;
  for (const InputSpec& input : inputs) {
    Value value = to_value(input, input.source);
    if (input.kind == InputSpec::Kind::kArgsFile) {
      if (value.kind != Value::Kind::kTuple) {
        throw Error(kUsage, "--input " + input.source + ": the file must hold a tuple, not " +
                                summary(value));
      }
      if (!given.positional.empty()) {
        throw Error(kUsage, "--input " + input.source +
                                ": supplies all positional arguments, "
                                "but there are others");
      }
      given.positional = std::move(value.items);
    } else if (input.name.empty()) {
      given.positional.push_back(std::move(value));
    } else {
      given.named.emplace_back(input.name, std::move(value));
    }
  }
  return given;
}

Stack make_arguments(const torch::jit::Function& function, IValue self,
                     const std::vector<InputSpec>& inputs, const at::Device& device) {
  Given given = read_inputs(inputs);
  const auto value_at = [&given](std::size_t i) -> const Value& { return given.positional[i]; };
  return fit_all(function, std::move(self), given.positional.size(), value_at,
                 std::move(given.named), device);
}

Stack make_arguments(const torch::jit::Function& function, IValue self, const SharedValues& inputs,
                     const at::Device& device) {
  const auto value_at = [&inputs](std::size_t i) -> const Value& { return *inputs[i]; };
  return fit_all(function, std::move(self), inputs.size(), value_at, {}, device);
}

}  // namespace runner
