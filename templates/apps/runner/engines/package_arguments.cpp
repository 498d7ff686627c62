#include "engines/package_arguments.h"

#include <algorithm>
#include <map>
#include <utility>

#include "program/error.h"
#include "program/print.h"
#include "values/from_torch.h"
#include "values/to_torch.h"

namespace runner {
namespace {

using Kind = Value::Kind;

bool is_leaf(const JsonNode& spec) {
  const JsonNode* type = spec.find("type");
  return type == nullptr || type->kind == JsonNode::Kind::kNull;
}

// The keys of a dict, or of another mapping, by torch.utils._pytree: JSON in a text.
std::vector<JsonNode> keys_of(const JsonNode& spec) {
  const std::string context = spec.string_of("context");
  if (context.empty() || context[0] != '[') return {};
  return parse_json(context).items;
}

Value key_of(const JsonNode& key) {
  if (key.kind == JsonNode::Kind::kNumber) return make_int(key.integer());
  return make_text(Kind::kString, key.text);
}

bool is_same_key(const Value& key, const JsonNode& wanted) {
  return key.kind == Kind::kInt
             ? wanted.kind == JsonNode::Kind::kNumber && key.integer == wanted.integer()
             : key.text == wanted.text;
}

[[noreturn]] void refuse(const std::string& what, const std::string& schema) {
  throw Error(kUsage, "forward() " + what, "schema: " + schema);
}

struct Leaf {
  std::string name;  // "argument 'x'[0]"
  const Value* value;
};

// The leaves of a value in the order of the package's structure.
void flatten(const Value& value, const JsonNode& spec, const std::string& name,
             const std::string& schema, std::vector<Leaf>* leaves) {
  if (is_leaf(spec)) {
    leaves->push_back({name, &value});
    return;
  }
  const std::vector<JsonNode>& children = spec.items_of("children_spec");
  const std::vector<JsonNode> keys = keys_of(spec);
  if (!keys.empty() && keys.size() == children.size()) {
    if (value.kind != Kind::kDict) refuse(name + " must be a dict, not " + summary(value), schema);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      std::size_t at = 0;
      while (at < value.items.size() && !is_same_key(value.items[at], keys[i])) at += 2;
      if (at >= value.items.size()) refuse(name + " lacks the key " + keys[i].text, schema);
      flatten(value.items[at + 1], children[i], name + "[" + key_text(value.items[at]) + "]",
              schema, leaves);
    }
    return;
  }
  const bool is_sequence = value.kind == Kind::kList || value.kind == Kind::kTuple;
  if (!is_sequence || value.items.size() != children.size()) {
    refuse(
        name + " must have " + std::to_string(children.size()) + " elements, not " + summary(value),
        schema);
  }
  for (std::size_t i = 0; i < children.size(); ++i) {
    flatten(value.items[i], children[i], name + "[" + std::to_string(i) + "]", schema, leaves);
  }
}

std::string range_text(const PackageSize& size) {
  const bool is_open = size.most >= (std::int64_t{1} << 62);
  return size.symbol +
         (is_open ? " from " + std::to_string(size.least)
                  : " from " + std::to_string(size.least) + " to " + std::to_string(size.most));
}

// Why a tensor is not what the package was compiled for; empty where it is.
std::string unfit(const Tensor& tensor, const PackageLeaf& wanted,
                  std::map<std::string, std::int64_t>* sizes) {
  if (is_sparse(tensor)) return "it is sparse";
  if (tensor.dtype != wanted.dtype || tensor.shape.size() != wanted.shape.size()) return "that";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    const PackageSize& size = wanted.shape[i];
    if (tensor.shape[i] < size.least || tensor.shape[i] > size.most) {
      if (size.symbol.empty()) return "that";
      return "of " + range_text(size);
    }
    const auto known = sizes->emplace(size.symbol, tensor.shape[i]);
    if (!size.symbol.empty() && known.first->second != tensor.shape[i]) {
      return "and " + size.symbol + " is " + std::to_string(known.first->second) +
             " in an argument before it";
    }
  }
  return std::string();
}

bool is_same(const Value& value, const JsonNode& constant) {
  using Json = JsonNode::Kind;
  switch (value.kind) {
    case Kind::kNone:
      return constant.kind == Json::kNull;
    case Kind::kBool:
      return constant.kind == Json::kBool && constant.truth == (value.integer != 0);
    case Kind::kInt:
      return constant.kind == Json::kNumber &&
             constant.number() == static_cast<double>(value.integer);
    case Kind::kFloat:
      return constant.kind == Json::kNumber && constant.number() == value.real;
    case Kind::kString:
      return constant.kind == Json::kString && constant.text == value.text;
    default:
      return false;
  }
}

Value constant_value(const JsonNode& constant) {
  Value value;
  switch (constant.kind) {
    case JsonNode::Kind::kBool:
      value.kind = Kind::kBool;
      value.integer = constant.truth ? 1 : 0;
      return value;
    case JsonNode::Kind::kString:
      return make_text(Kind::kString, constant.text);
    case JsonNode::Kind::kNumber:
      if (constant.text.find_first_of(".eEnN") == std::string::npos) {
        return make_int(constant.integer());
      }
      value.kind = Kind::kFloat;
      value.real = constant.number();
      return value;
    default:
      return value;
  }
}

// A number that the model returns.
Value number_of(const at::Tensor& tensor) {
  Value value;
  if (tensor.scalar_type() == at::kBool) {
    value.kind = Kind::kBool;
    value.integer = tensor.item<bool>() ? 1 : 0;
  } else if (c10::isIntegralType(tensor.scalar_type(), false)) {
    return make_int(tensor.item<std::int64_t>());
  } else {
    value.kind = Kind::kFloat;
    value.real = tensor.item<double>();
  }
  return value;
}

Value unflatten(const PackageFacts& facts, const JsonNode& spec,
                const std::vector<at::Tensor>& tensors, std::size_t* next) {
  if (is_leaf(spec)) {
    const std::size_t index = (*next)++;
    if (index < facts.outputs.size()) {
      const PackageLeaf& leaf = facts.outputs[index];
      if (!leaf.is_tensor && !leaf.is_number) return constant_value(leaf.constant);
      if (leaf.is_number && index < tensors.size()) return number_of(tensors[index]);
    }
    if (index >= tensors.size()) {
      throw Error(kRunFailed, "the package gives fewer outputs than it says");
    }
    return from_torch(c10::IValue(tensors[index]));
  }
  const std::vector<JsonNode>& children = spec.items_of("children_spec");
  const std::vector<JsonNode> keys = keys_of(spec);
  Value value;
  const bool is_dict = !keys.empty() && keys.size() == children.size();
  value.kind = is_dict                                     ? Kind::kDict
               : spec.string_of("type") == "builtins.list" ? Kind::kList
                                                           : Kind::kTuple;
  for (std::size_t i = 0; i < children.size(); ++i) {
    if (is_dict) value.items.push_back(key_of(keys[i]));
    value.items.push_back(unflatten(facts, children[i], tensors, next));
  }
  return value;
}

// What is called by position and by name: the two parts of the structure of a call.
struct Parameters {
  std::vector<std::string> names;
  std::vector<const JsonNode*> specs;
  std::size_t positional = 0;
};

Parameters parameters_of(const PackageFacts& facts, const JsonNode& in_spec) {
  Parameters all;
  const std::vector<JsonNode>& parts = in_spec.items_of("children_spec");
  if (parts.size() != 2) throw Error(kModelNotLoaded, "the package's call has no known structure");
  for (const JsonNode& spec : parts[0].items_of("children_spec")) {
    const std::size_t index = all.names.size();
    const bool is_named = index < facts.arguments.size();
    all.names.push_back(is_named ? facts.arguments[index] : "input" + std::to_string(index));
    all.specs.push_back(&spec);
  }
  all.positional = all.names.size();
  const std::vector<JsonNode> keys = keys_of(parts[1]);
  const std::vector<JsonNode>& named = parts[1].items_of("children_spec");
  for (std::size_t i = 0; i < named.size() && i < keys.size(); ++i) {
    all.names.push_back(keys[i].text);
    all.specs.push_back(&named[i]);
  }
  return all;
}

std::size_t count_leaves(const JsonNode& spec) {
  if (is_leaf(spec)) return 1;
  std::size_t count = 0;
  for (const JsonNode& child : spec.items_of("children_spec")) count += count_leaves(child);
  return count;
}

}  // namespace

std::string package_schema(const PackageFacts& facts, const JsonNode& in_spec) {
  std::string text = "forward(";
  std::size_t leaf = 0;
  const Parameters parameters = parameters_of(facts, in_spec);
  for (std::size_t i = 0; i < parameters.names.size(); ++i) {
    const std::size_t count = count_leaves(*parameters.specs[i]);
    text += (i > 0 ? ", " : "") + parameters.names[i];
    if (facts.has_signature && leaf + count <= facts.inputs.size()) {
      std::string inner;
      for (std::size_t k = 0; k < count; ++k) {
        inner += (k > 0 ? ", " : "") + describe(facts.inputs[leaf + k]);
      }
      text += is_leaf(*parameters.specs[i]) ? ": " + inner : ": (" + inner + ")";
    }
    leaf += count;
  }
  text += ")";
  std::string outputs;
  for (const PackageLeaf& output : facts.outputs) {
    const std::string one = output.is_number ? "number" : describe(output);
    outputs += (outputs.empty() ? "" : ", ") + one;
  }
  return outputs.empty() ? text : text + " -> " + outputs;
}

std::vector<at::Tensor> package_arguments(const PackageFacts& facts, const JsonNode& in_spec,
                                          const Given& given, const at::Device& device) {
  const std::string schema = package_schema(facts, in_spec);
  const Parameters parameters = parameters_of(facts, in_spec);
  if (given.positional.size() > parameters.names.size()) {
    refuse("takes " + std::to_string(parameters.names.size()) + " inputs, but got " +
               std::to_string(given.positional.size()),
           schema);
  }
  for (const auto& named : given.named) {
    const auto found = std::find(parameters.names.begin(), parameters.names.end(), named.first);
    if (found == parameters.names.end()) refuse("has no argument '" + named.first + "'", schema);
  }
  std::vector<Leaf> leaves;
  for (std::size_t i = 0; i < parameters.names.size(); ++i) {
    const std::string& name = parameters.names[i];
    const Value* value = i < given.positional.size() ? &given.positional[i] : nullptr;
    for (const auto& named : given.named) {
      if (named.first != name) continue;
      if (value != nullptr) refuse("got two inputs for argument '" + name + "'", schema);
      value = &named.second;
    }
    if (value == nullptr) refuse("needs an input for argument '" + name + "'", schema);
    flatten(*value, *parameters.specs[i], "argument '" + name + "'", schema, &leaves);
  }
  std::vector<at::Tensor> tensors;
  std::map<std::string, std::int64_t> sizes;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const Value& value = *leaves[i].value;
    const PackageLeaf* wanted = i < facts.inputs.size() ? &facts.inputs[i] : nullptr;
    if (value.kind == Kind::kTensor) {
      const std::string why =
          wanted == nullptr || !wanted->is_tensor ? "" : unfit(*value.tensor, *wanted, &sizes);
      if (!why.empty() || (wanted != nullptr && !wanted->is_tensor)) {
        refuse(leaves[i].name + " must be " + describe(*wanted) +
                   (why.empty() || why == "that" ? "" : ", " + why) + ", not " + summary(value),
               schema);
      }
      tensors.push_back(to_torch(*value.tensor).detach().to(device).contiguous());
    } else if (wanted != nullptr && wanted->is_tensor) {
      refuse(leaves[i].name + " must be " + describe(*wanted) + ", not " + summary(value), schema);
    } else if (wanted != nullptr && !is_same(value, wanted->constant)) {
      refuse(leaves[i].name + " was compiled in as " + describe(*wanted) + ", so it cannot be " +
                 summary(value),
             schema);
    }
  }
  return tensors;
}

Value package_outputs(const PackageFacts& facts, const JsonNode& out_spec,
                      const std::vector<at::Tensor>& tensors) {
  std::size_t next = 0;
  return unflatten(facts, out_spec, tensors, &next);
}

}  // namespace runner
