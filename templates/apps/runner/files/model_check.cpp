#include "files/model_check.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <utility>
#include <vector>

#include "files/code_depth.h"
#include "files/pickle_look.h"
#include "program/platform.h"
#include "values/value.h"

namespace runner {
namespace {

// libtorch finds records whatever the case of their names is.
bool has_extension(const std::string& name, const std::string& suffix) {
  return name.size() >= suffix.size() &&
         std::equal(suffix.rbegin(), suffix.rend(), name.rbegin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

// "code/__torch__/demo/net.py" -> "__torch__.demo.net"
std::string module_name(const std::string& record) {
  std::string name = record.substr(record.find('/') + 1);
  name.resize(name.size() - 3);
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

std::string too_deep(const std::string& record) {
  return "its record " + record + " is nested more than " + std::to_string(kMostNesting) +
         " deep, which no model is";
}

}  // namespace

std::string why_unreadable(const std::string& path, const Archive& archive) {
  const std::size_t most = kMostNesting;
  const File file = open_file(path);
  if (!file) return std::string();  // which its reader tells
  std::vector<std::pair<std::string, std::string>> modules;
  for (const Record& record : archive.records) {
    if (record.name.compare(0, 6, "extra/") == 0) continue;  // files of the model's maker
    if (has_extension(record.name, ".pkl") || has_extension(record.name, ".debug_pkl")) {
      const PickleLook look = look_into_pickle(unpack_record(file.get(), record), most + 1);
      if (look.claims_too_much) {
        return "its record " + record.name + " is damaged: it claims more than it holds";
      }
      if (look.depth > most) return too_deep(record.name);
    } else if (has_extension(record.name, ".py")) {
      modules.emplace_back(module_name(record.name), unpack_record(file.get(), record));
      if (depth_of_code(modules.back().second) > most) return too_deep(record.name);
    }
  }
  return depth_of_definitions(modules) > most ? too_deep("code") : "";
}

}  // namespace runner
