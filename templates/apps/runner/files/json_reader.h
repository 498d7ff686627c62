// Reading JSON, as far as model packages use it.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace runner {

struct JsonNode {
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  bool truth = false;
  std::string text;             // kString; kNumber: as it is written
  std::vector<JsonNode> items;  // kArray; kObject: the values
  std::vector<std::string> names;

  const JsonNode* find(const std::string& name) const;   // a member; null where there is none
  std::string string_of(const std::string& name) const;  // of a member; empty where there is none
  const std::vector<JsonNode>& items_of(const std::string& name) const;
  double number() const;
  long long integer() const;
};

// Throws Error (kModelNotLoaded) for what is no JSON.
JsonNode parse_json(const std::string& text);

}  // namespace runner
