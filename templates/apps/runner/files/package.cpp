#include "files/package.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "program/error.h"
#include "program/platform.h"

namespace runner {
namespace {

const char* const kFolder = "aotinductor/";
const char* const kSignature = "extra/torchscript-build.json";
const std::uint64_t kMostText = 64 << 20;

bool ends_in(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() &&
         text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// The folder of a record below data/aotinductor, which is its model's name; empty for another.
std::string model_of(const Record& record) {
  const std::size_t at = record.name.find(kFolder);
  if (at == std::string::npos) return std::string();
  const std::size_t start = at + std::strlen(kFolder);
  const std::size_t end = record.name.find('/', start);
  return end == std::string::npos ? std::string() : record.name.substr(start, end - start);
}

std::string choose_model(const std::string& path, const Archive& archive) {
  std::unordered_map<std::string, std::size_t> known;
  std::vector<std::string> names;
  for (const Record& record : archive.records) {
    const std::string name = model_of(record);
    if (name == "model") return name;
    if (!name.empty() && known.emplace(name, names.size()).second) names.push_back(name);
  }
  if (names.size() == 1) return names[0];
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  throw Error(kModelNotLoaded,
              path + " is a .pt2 package with several models, none of which is called model",
              "package one of them alone: " + list);
}

// What an object file is for, by its first bytes: {platform, machine}.
std::pair<std::string, std::string> target_of(const std::string& head) {
  const auto byte = [&head](std::size_t at) { return static_cast<unsigned char>(head[at]); };
  if (head.size() < 20) return {};
  if (head.compare(0, 4,
                   "\x7f"
                   "ELF") == 0) {
    const int machine = byte(18) | byte(19) << 8;
    return {"linux", machine == 62 ? "x86_64" : machine == 183 ? "aarch64" : "another machine"};
  }
  if (head.compare(0, 4, "\xcf\xfa\xed\xfe") == 0) {
    const int machine = byte(4);
    return {"darwin", machine == 7 ? "x86_64" : "arm64"};
  }
  if (head.compare(0, 2, "MZ") == 0) return {"win32", ""};
  return {};
}

void add_new(const std::string& name, std::vector<std::string>* known) {
  if (std::find(known->begin(), known->end(), name) == known->end()) known->push_back(name);
}

// The options for the processor in the command that compiled it, which stands in its source.
void read_command(const std::string& source, PackageFacts* facts) {
  const std::size_t begin = source.rfind("// Compile cmd");
  if (begin == std::string::npos) return;
  std::size_t at = source.find('\n', begin) + 1;
  const std::string line = source.substr(at, source.find('\n', at) - at);
  for (at = line.find(" -m"); at != std::string::npos; at = line.find(" -m", at + 1)) {
    const std::string option = line.substr(at + 3, line.find(' ', at + 1) - at - 3);
    if (option == "arch=native" || option == "cpu=native") {
      facts->is_native = true;
    } else if (option.find('=') == std::string::npos) {
      add_new(option, &facts->extensions);
    }
  }
}

// For packages without such a command.
void add_isa(PackageFacts* facts) {
  const bool is_512 = facts->isa.find("AVX512") != std::string::npos;
  if (is_512) {
    for (const char* name : {"avx512f", "avx512dq", "avx512vl", "avx512bw", "fma"}) {
      add_new(name, &facts->extensions);
    }
  }
  if (facts->isa.find("VNNI") != std::string::npos) add_new("avx512vnni", &facts->extensions);
  if (!is_512 && facts->isa.find("AVX2") != std::string::npos) {
    for (const char* name : {"avx2", "fma", "f16c"}) add_new(name, &facts->extensions);
  }
  if (facts->isa.find("AMX") != std::string::npos) add_new("amx-tile", &facts->extensions);
}

// Operators that are called by name: {"nodes": [{"node": {"target": "my_ops::warp"}}]}.
void read_operators(const JsonNode& json, PackageFacts* facts) {
  for (const JsonNode& entry : json.items_of("nodes")) {
    const JsonNode* node = entry.find("node");
    const std::string target = node == nullptr ? std::string() : node->string_of("target");
    const std::size_t colons = target.find("::");
    if (colons == std::string::npos) continue;
    const std::string space = target.substr(0, colons);
    const std::string name = target.substr(0, target.find('.'));
    if (space != "aten" && space != "prims") add_new(name, &facts->operators);
  }
}

PackageLeaf read_leaf(const JsonNode& json) {
  PackageLeaf leaf;
  leaf.dtype = json.string_of("dtype");
  leaf.is_tensor = !leaf.dtype.empty();
  leaf.is_number = json.find("number") != nullptr;
  for (const JsonNode& size : json.items_of("shape")) {
    PackageSize one;
    if (size.kind == JsonNode::Kind::kArray && size.items.size() == 3) {
      one.symbol = size.items[0].text;
      one.least = size.items[1].integer();
      one.most = size.items[2].integer();
    } else {
      one.least = one.most = size.integer();
    }
    leaf.shape.push_back(one);
  }
  const JsonNode* constant = json.find("value");
  if (constant != nullptr) leaf.constant = *constant;
  return leaf;
}

void read_totals(const std::vector<JsonNode>& items, std::int64_t (&totals)[3]) {
  for (std::size_t i = 0; i < 3 && i < items.size(); ++i) totals[i] = items[i].integer();
}

void read_signature(const JsonNode& json, PackageFacts* facts) {
  facts->has_signature = true;
  facts->torch = json.string_of("torch");
  facts->is_native = false;
  for (const JsonNode& name : json.items_of("extensions")) add_new(name.text, &facts->extensions);
  for (const JsonNode& name : json.items_of("arguments")) facts->arguments.push_back(name.text);
  for (const JsonNode& leaf : json.items_of("inputs")) facts->inputs.push_back(read_leaf(leaf));
  for (const JsonNode& leaf : json.items_of("outputs")) facts->outputs.push_back(read_leaf(leaf));
  read_totals(json.items_of("parameters"), facts->parameters);
  read_totals(json.items_of("buffers"), facts->buffers);
}

}  // namespace

bool is_package(const Archive& archive) {
  if (archive.state != Archive::State::kZip) return false;
  for (const Record& record : archive.records) {
    if (!model_of(record).empty()) return true;
  }
  return false;
}

PackageFacts read_package(const std::string& path, const Archive& archive) {
  PackageFacts facts;
  facts.model = choose_model(path, archive);
  File file = open_file(path);
  JsonNode metadata;
  bool has_library = false;
  for (const Record& record : archive.records) {
    if (model_of(record) != facts.model) continue;
    const bool is_metadata = ends_in(record.name, "_metadata.json");
    if (ends_in(record.name, ".so") || ends_in(record.name, ".pyd") ||
        ends_in(record.name, ".dll")) {
      has_library = true;
      Record head = record;
      head.size = std::min<std::uint64_t>(record.size, 20);
      const auto target = target_of(read_record(file.get(), head));
      facts.platform = target.first;
      facts.machine = target.second;
    } else if (record.size > kMostText) {
      continue;
    } else if (is_metadata) {
      metadata = parse_json(unpack_record(file.get(), record));
    } else if (ends_in(record.name, ".json") && record.name.find("_flags") == std::string::npos) {
      const std::string text = unpack_record(file.get(), record);
      if (!text.empty()) read_operators(parse_json(text), &facts);
    } else if (ends_in(record.name, ".cpp")) {
      read_command(unpack_record(file.get(), record), &facts);
    }
  }
  if (!has_library) {
    throw Error(kModelNotLoaded,
                path + " is a .pt2 package of AOTInductor's sources, which nobody has compiled",
                "package it again, without aot_inductor.package_cpp_only");
  }
  facts.device = metadata.string_of("AOTI_DEVICE_KEY");
  facts.isa = metadata.string_of("AOTI_CPU_ISA");
  const std::string machine = metadata.string_of("AOTI_MACHINE");
  if (!machine.empty()) facts.machine = machine;
  if (facts.machine == "AMD64") facts.machine = "x86_64";
  add_isa(&facts);
  const Record* signature = archive.find(kSignature);
  if (signature != nullptr && signature->size <= kMostText) {
    read_signature(parse_json(unpack_record(file.get(), *signature)), &facts);
  }
  return facts;
}

std::string describe(const PackageLeaf& leaf) {
  if (!leaf.is_tensor) {
    const bool is_text = leaf.constant.kind == JsonNode::Kind::kString;
    if (leaf.constant.kind == JsonNode::Kind::kNull) return "None";
    if (leaf.constant.kind == JsonNode::Kind::kBool) return leaf.constant.truth ? "True" : "False";
    return is_text ? '"' + leaf.constant.text + '"' : leaf.constant.text;
  }
  std::string text = leaf.dtype + " [";
  for (std::size_t i = 0; i < leaf.shape.size(); ++i) {
    const PackageSize& size = leaf.shape[i];
    text += (i > 0 ? ", " : "") + (size.symbol.empty() ? std::to_string(size.least) : size.symbol);
  }
  return text + "]";
}

}  // namespace runner
