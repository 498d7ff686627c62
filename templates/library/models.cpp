// Models: opened, described, called.
#include <algorithm>
#include <cfenv>
#include <cstring>
#include <exception>

#include "app_info.h"
#include "engines/libtorch.h"
#include "failure.h"
#include "files/archive.h"
#include "handles.h"
#include "program/error.h"
#include "program/platform.h"
#include "things.h"

namespace tsl_library {
namespace {

// Never destroyed: threads may call while the process ends.
Handles<Model>& open_models() {
  static auto* const all = new Handles<Model>(1);
  return *all;
}

// The options as this version has them; what a newer caller has besides must not be in use.
tsl_options known_options(const tsl_options* options) {
  tsl_options known;
  std::memset(&known, 0, sizeof(known));
  if (options == nullptr) return known;
  const std::size_t size = options->struct_size;
  if (size < offsetof(tsl_options, model) || size > 4096) {
    throw Failure{TSL_BAD_ARGUMENT, "options: struct_size is " + std::to_string(size) +
                                        ", and must be sizeof(tsl_options), " +
                                        std::to_string(sizeof(known))};
  }
  std::memcpy(&known, options, std::min(size, sizeof(known)));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(options);
  for (std::size_t i = sizeof(known); i < size; ++i) {
    if (bytes[i] != 0) {
      throw Failure{
          TSL_BAD_ARGUMENT,
          "options: the caller uses a field that this library does not have; it is older"};
    }
  }
  if (known.flags & ~(TSL_GRAD | TSL_FREEZE) || known.reserved != 0) {
    throw Failure{TSL_BAD_ARGUMENT, "options: flags that this library does not have"};
  }
  if (known.threads < 0) {
    throw Failure{TSL_BAD_ARGUMENT,
                  "options: threads must not be negative, not " + std::to_string(known.threads)};
  }
  return known;
}

struct Found {
  std::string file;
  Process process;
};

Found find_file(const char* wanted) {
  std::string known;
  for (std::size_t i = 0; i < app_info.model_count; ++i) {
    if (wanted == nullptr || std::strcmp(wanted, app_info.models[i].name) == 0) {
      return {beside_library(app_info.models[i].path), app_info.models[i].process};
    }
    known += (known.empty() ? " (models of this library: " : ", ") +
             std::string(app_info.models[i].name);
  }
  if (wanted == nullptr) {
    throw Failure{TSL_BAD_ARGUMENT, "no model travels with this library: name a file"};
  }
  if (std::strpbrk(wanted, "/\\.") == nullptr && !runner::open_file(wanted)) {
    throw Failure{TSL_MODEL_NOT_LOADED,
                  std::string("no such model: ") + wanted + (known.empty() ? "" : known + ")")};
  }
  return {wanted, app_info.process};
}

// What a model wants of its process, which has others, too: where they differ, the last one wins.
void prepare_process(const Process& wanted, int threads) {
  if (threads == 0) threads = wanted.threads;
  if (threads > 0) runner::set_threads(threads);
  if (wanted.interop_threads > 0) {
    try {
      runner::set_interop_threads(wanted.interop_threads);
    } catch (const std::exception&) {  // it can be said once, and before there is work
    }
  }
  if (wanted.default_dtype != nullptr) runner::set_default_dtype(wanted.default_dtype);
  if (wanted.quantized_engine != nullptr) runner::set_quantized_engine(wanted.quantized_engine);
  if (wanted.deterministic != nullptr && std::strcmp(wanted.deterministic, "off") != 0) {
    runner::set_deterministic(std::strcmp(wanted.deterministic, "warn") == 0);
  }
  if (wanted.matmul_precision != nullptr) runner::set_matmul_precision(wanted.matmul_precision);
}

// Flushes denormal numbers in the calling thread, until the call ends.
class Flushing {
 public:
  explicit Flushing(bool wanted) : wanted_(wanted) {
    if (!wanted_) return;
    std::fegetenv(&before_);
    runner::set_flush_denormal();
  }
  Flushing(const Flushing&) = delete;
  ~Flushing() {
    if (wanted_) std::fesetenv(&before_);
  }

 private:
  const bool wanted_;
  std::fenv_t before_;
};

std::shared_ptr<Model> open_model(const tsl_options& options) {
  const Found found = find_file(options.model);
  watch_forks();
  prepare_process(found.process, options.threads);
  for (std::size_t i = 0; i < app_info.op_library_count; ++i) {
    runner::load_library(beside_library(app_info.op_libraries[i]));
  }
  runner::LoadOptions load;
  load.device = options.device == nullptr ? "cpu" : options.device;
  load.method = options.flags & TSL_FREEZE ? app_info.method : "";
  load.freeze = (options.flags & TSL_FREEZE) != 0;
  load.grad = found.process.grad || (options.flags & TSL_GRAD) != 0;
  load.shared = true;
  auto model = std::make_shared<Model>();
  model->engine = runner::open_engine(found.file, runner::read_archive(found.file), load);
  model->flush_denormal = found.process.flush_denormal;
  model->schemas = model->engine->info().methods;
  for (const std::string& schema : model->schemas) {
    model->names.push_back(schema.substr(0, schema.find('(')));
  }
  return model;
}

const std::string& at(const std::vector<std::string>& texts, std::size_t index) {
  if (index < texts.size()) return texts[index];
  throw Failure{TSL_BAD_ARGUMENT, "index " + std::to_string(index) + ": the model has " +
                                      std::to_string(texts.size()) + " methods"};
}

}  // namespace

std::shared_ptr<Model> find_model(tsl_model number) {
  std::shared_ptr<Model> found = open_models().find(number);
  if (found) return found;
  throw Failure{TSL_BAD_HANDLE, "there is no open model " + std::to_string(number) +
                                    ": it was closed, or is none of this library"};
}

}  // namespace tsl_library

using namespace tsl_library;

uint32_t tsl_abi_version(void) { return TSL_ABI_VERSION; }

const char* tsl_version(void) {
  static const std::string* const text = [] {
    const std::string name = std::string(app_info.name) + " " + app_info.version;
    return new std::string(name + " (libtorch " + runner::libtorch_version() + ")");
  }();
  return text->c_str();
}

int tsl_open(const tsl_options* options, tsl_model* model) {
  return guarded([&] {
    given(model, "model");
    const tsl_model number = open_models().add(open_model(known_options(options)));
    if (number == 0) throw Failure{TSL_OUT_OF_MEMORY, "too many models are open"};
    *model = number;
  });
}

int tsl_close(tsl_model model) {
  return guarded([&] {
    find_model(model);
    open_models().remove(model);
  });
}

int tsl_method_count(tsl_model model, size_t* count) {
  return guarded([&] { *given(count, "count") = find_model(model)->names.size(); });
}

int tsl_method_name(tsl_model model, size_t index, const char** name) {
  return guarded([&] { *given(name, "name") = at(find_model(model)->names, index).c_str(); });
}

int tsl_method_schema(tsl_model model, size_t index, const char** schema) {
  return guarded([&] { *given(schema, "schema") = at(find_model(model)->schemas, index).c_str(); });
}

int tsl_call(tsl_model model, const char* method, const tsl_value* arguments, size_t count,
             tsl_value* result) {
  return guarded([&] {
    given(result, "result");
    const std::shared_ptr<Model> opened = find_model(model);
    const runner::SharedValues inputs = find_values(arguments, count, "arguments");
    const Flushing flushing(opened->flush_denormal);
    *result = hold(opened->engine->call(method == nullptr ? app_info.method : method, inputs));
  });
}
