#include "engines/arguments.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "engines/failures.h"
#include "files/npy.h"
#include "files/pt.h"
#include "program/error.h"
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
      std::int64_t count = 1;
      for (std::int64_t size : spec.shape) count *= size;
      return at::arange(count, at::TensorOptions().dtype(at::kLong)).reshape(spec.shape).to(dtype);
    }
  }
}

c10::List<IValue> any_list(const std::vector<IValue>& items) {
  c10::impl::GenericList list(c10::AnyType::get());
  for (const IValue& item : items) list.push_back(item);
  return list;
}

IValue to_torch(const InputSpec& spec) {
  using Kind = InputSpec::Kind;
  switch (spec.kind) {
    case Kind::kNone:
      return IValue();
    case Kind::kBool:
      return IValue(spec.integer != 0);
    case Kind::kInt:
      return IValue(spec.integer);
    case Kind::kFloat:
      return IValue(spec.real);
    case Kind::kString:
      return IValue(spec.text);
    case Kind::kNpyFile:
      return IValue(to_torch(read_npy(spec.text)));
    case Kind::kPtFile:
    case Kind::kArgsFile:
      return read_pt_ivalue(spec.text);
    case Kind::kList:
    case Kind::kTuple: {
      std::vector<IValue> items;
      for (const InputSpec& item : spec.items) items.push_back(to_torch(item));
      if (spec.kind == Kind::kTuple) return IValue(c10::ivalue::Tuple::create(std::move(items)));
      return IValue(any_list(items));
    }
    default:
      break;
  }
  try {
    return IValue(make_filled(spec));
  } catch (const c10::Error& error) {
    throw Error(kUsage, "--input " + spec.source + ": " + essential_line(message_of(error)));
  }
}

[[noreturn]] void reject(const torch::jit::Function& function, const std::string& what) {
  throw Error(kUsage, function.name() + "() " + what, "schema: " + schema_text(function));
}

IValue fit(const torch::jit::Function& function, const c10::Argument& argument, const IValue& value,
           const at::Device& device) {
  IValue fitted;
  try {
    fitted = coerce(value, argument.type(), device);
  } catch (const c10::Error& error) {  // a string that is no device
    reject(function, "argument '" + argument.name() + "': " + essential_line(message_of(error)));
  }
  if (!is_of_type(fitted, argument.type())) {
    reject(function, "argument '" + argument.name() + "' must be " +
                         argument.type()->annotation_str() + ", not " + describe_value(value));
  }
  return device.is_cpu() ? fitted : to_device(fitted, device);
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

Stack make_arguments(const torch::jit::Function& function, const std::vector<InputSpec>& inputs,
                     const at::Device& device) {
  const auto& parameters = function.getSchema().arguments();
  Stack positional = {IValue()};  // in the place of self
  std::vector<std::pair<std::string, IValue>> named;
  for (const InputSpec& input : inputs) {
    IValue value = to_torch(input);
    if (input.kind == InputSpec::Kind::kArgsFile) {
      if (!value.isTuple()) {
        throw Error(kUsage, "--input " + input.source + ": the file must hold a tuple, not " +
                                describe_value(value));
      }
      if (positional.size() > 1) {
        throw Error(kUsage, "--input " + input.source +
                                ": supplies all positional arguments, "
                                "but there are others");
      }
      const auto tuple = value.toTuple();
      for (const IValue& item : tuple->elements()) positional.push_back(item);
    } else if (input.name.empty()) {
      positional.push_back(std::move(value));
    } else {
      named.emplace_back(input.name, std::move(value));
    }
  }

  if (positional.size() > parameters.size()) {
    reject(function, "takes " + std::to_string(parameters.size() - 1) + " inputs, but got " +
                         std::to_string(positional.size() - 1));
  }
  Stack arguments;
  for (std::size_t i = 1; i < parameters.size(); ++i) {
    const c10::Argument& parameter = parameters[i];
    const auto is_this = [&parameter](const std::pair<std::string, IValue>& candidate) {
      return candidate.first == parameter.name();
    };
    const auto given = std::find_if(named.begin(), named.end(), is_this);
    if (i < positional.size()) {
      if (given != named.end())
        reject(function, "got two inputs for argument '" + parameter.name() + "'");
      arguments.push_back(fit(function, parameter, positional[i], device));
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

}  // namespace runner
