#include "engines/aoti.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "engines/arguments.h"
#include "engines/devices.h"
#include "engines/failures.h"
#include "engines/libtorch.h"
#include "engines/package_arguments.h"
#include "files/json_reader.h"
#include "files/package.h"
#include "program/error.h"
#include "program/processor.h"
#include "values/torch_headers.h"

#if TORCH_AT_LEAST(2, 6)
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#endif

namespace runner {

#if TORCH_AT_LEAST(2, 6)

namespace {

using Loader = torch::inductor::AOTIModelPackageLoader;

#ifdef _WIN32
const char* const kPlatform = "win32";
#elif defined(__APPLE__)
const char* const kPlatform = "darwin";
#else
const char* const kPlatform = "linux";
#endif

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// What can be told before the package's machine code is touched.
void check_package(const std::string& path, const PackageFacts& facts, const at::Device& device) {
  const std::string again = "export and compile it again for this machine";
  const std::string machine = machine_name();
  const bool is_other_machine = !machine.empty() && !facts.machine.empty() &&
                                facts.machine != machine &&
                                !(machine == "aarch64" && facts.machine == "arm64");
  if (is_other_machine || (!facts.platform.empty() && facts.platform != kPlatform)) {
    throw Error(kModelNotLoaded,
                path + " was compiled for " + facts.platform + " on " + facts.machine +
                    ", and this is " + kPlatform + " on " + machine,
                again);
  }
  const std::vector<std::string> missing = missing_extensions(facts.extensions);
  if (!missing.empty()) {
    throw Error(kModelNotLoaded,
                path + " was compiled for a processor with " + join(missing) +
                    ", which this one does not have",
                again + ", or with cpu = \"x86-64-v3\" for more machines");
  }
  const std::string kind = facts.device.substr(0, facts.device.find(':'));
  const std::string here = device.str().substr(0, device.str().find(':'));
  if (!kind.empty() && kind != here) {
    throw Error(kDeviceUnavailable,
                path + " was compiled for " + kind + ", not for --device " + here,
                "use --device " + kind + ", or compile it again on the device");
  }
}

std::string text_between(const std::string& text, const std::string& before, const char* ends) {
  const std::size_t at = text.find(before);
  if (at == std::string::npos) return std::string();
  const std::size_t start = at + before.size();
  return text.substr(start, text.find_first_of(ends, start) - start);
}

// Why a package could not be loaded, in the words of what it needs.
Error package_error(const std::string& path, const PackageFacts& facts,
                    const std::exception& exception) {
  const std::string message = message_of(exception);
  std::string op = text_between(message, "Could not find schema for ", " .,\n");
  for (const std::string& name : facts.operators) {
    if (op.empty() && message.find(name) != std::string::npos) op = name;
  }
  if (!op.empty()) {
    const std::string space = op.substr(0, op.find(':'));
    return Error(
        kModelNotLoaded,
        path + ": unknown operator " + op + ": no library with namespace " + space + " is loaded",
        "link the operator library of namespace " + space +
            " into the program, or pass it with --ops FILE");
  }
  const std::string made_by = facts.torch.empty() ? "another torch" : "torch " + facts.torch;
  const std::string symbol = text_between(message, "undefined symbol: ", " \n");
  if (!symbol.empty()) {
    return Error(kModelNotLoaded,
                 path + " was compiled by " + made_by + ", and needs " + symbol +
                     ", which libtorch " + libtorch_version() + " does not have",
                 "compile it again with torch " + libtorch_version() +
                     ", or use the libtorch that it was compiled for");
  }
  const std::string version = text_between(message, "version `", "'");
  if (!version.empty()) {
    return Error(kModelNotLoaded, path + " needs " + version + ", which this system does not have",
                 "compile it again on an older system");
  }
  return Error(
      kModelNotLoaded, path + " cannot be loaded: " + essential_line(message),
      "it was compiled by " + made_by + ", and this program uses libtorch " + libtorch_version());
}

std::unique_ptr<Loader> load_package(const std::string& path, const PackageFacts& facts,
                                     const at::Device& device) {
  try {
#if TORCH_AT_LEAST(2, 8)
    const c10::DeviceIndex index = device.is_cpu() ? -1 : device.index();
    return std::unique_ptr<Loader>(new Loader(path, facts.model, false, 1, index));
#else
    static_cast<void>(device);
    return std::unique_ptr<Loader>(new Loader(path, facts.model));
#endif
  } catch (const std::exception& exception) {
    throw package_error(path, facts, exception);
  }
}

// "[1, {...}]" -> the structure
JsonNode structure_of(const std::string& call_spec) {
  const JsonNode json = parse_json(call_spec);
  if (json.items.size() != 2) {
    throw Error(kModelNotLoaded, "the package's call has no known structure");
  }
  return json.items[1];
}

TensorTotals totals_of(const std::int64_t (&numbers)[3]) {
  TensorTotals totals;
  totals.tensors = numbers[0];
  totals.elements = numbers[1];
  totals.bytes = numbers[2];
  return totals;
}

class Aoti final : public Engine {
 public:
  Aoti(const std::string& path, PackageFacts facts, const LoadOptions& options)
      : path_(path), facts_(std::move(facts)), device_(parse_device(options.device)) {
    if (options.method != "forward") {
      throw Error(kUsage, path + ": the model has no method " + options.method,
                  "its methods: forward");
    }
    if (options.freeze || options.optimize) {
      throw Error(kUsage, std::string(options.optimize ? "--optimize" : "--freeze") +
                              " is for TorchScript models; " + path + " is compiled already");
    }
    check_package(path, facts_, device_);
#ifndef _WIN32
    // A compiled model trusts its callers; without a signature to compare with it is asked to look.
    if (!facts_.has_signature) setenv("AOTI_RUNTIME_CHECK_INPUTS", "1", 0);
#endif
    loader_ = load_package(path, facts_, device_);
    const std::vector<std::string> spec = loader_->get_call_spec();
    if (spec.size() == 2) {
      in_spec_ = structure_of(spec[0]);
      out_spec_ = structure_of(spec[1]);
    }
  }

  void set_inputs(const std::vector<InputSpec>& inputs) override {
    inputs_ = package_arguments(facts_, in_spec_, read_inputs(inputs), device_);
  }

  Value run() override {
    const c10::InferenceMode mode;
    try {
      return package_outputs(facts_, out_spec_, loader_->run(inputs_));
    } catch (const std::exception& exception) {
      throw run_error(exception);
    }
  }

  Value call(const std::string& method, const SharedValues& inputs) override {
    if (method != "forward") {
      throw Error(kUsage, path_ + ": the model has no method " + method, "its methods: forward");
    }
    Given given;
    for (const auto& input : inputs) given.positional.push_back(*input);
    const c10::InferenceMode mode;
    try {
      const auto tensors = package_arguments(facts_, in_spec_, given, device_);
      return package_outputs(facts_, out_spec_, loader_->run(tensors));
    } catch (const std::exception& exception) {
      throw run_error(exception);
    }
  }

  std::unique_ptr<Session> new_session(bool first) override {
    at::init_num_threads();
    return std::unique_ptr<Session>(new Calls(*this, first));
  }

  ModelInfo info() const override {
    ModelInfo info;
    info.type = "AOTInductor package";
    info.methods.push_back(package_schema(facts_, in_spec_));
    info.parameters = totals_of(facts_.parameters);
    info.buffers = totals_of(facts_.buffers);
    const std::string machine = facts_.platform + " " + facts_.machine;
    info.more.emplace_back("compiled_by",
                           facts_.torch.empty() ? "unknown" : "torch " + facts_.torch);
    info.more.emplace_back("compiled_for", machine +
                                               (facts_.is_native ? ", its maker's processor" : "") +
                                               (facts_.device.empty() ? "" : ", " + facts_.device));
    info.more.emplace_back("needs", join(facts_.extensions));
    info.more.emplace_back("operators", join(facts_.operators));
    return info;
  }

 private:
  class Calls final : public Session {
   public:
    Calls(const Aoti& model, bool first) : model_(model), inputs_(model.inputs_) {
      if (!first) own_ = load_package(model.path_, model.facts_, model.device_);
    }

    void call() override {
      try {
        (own_ ? own_ : model_.loader_)->run(inputs_);
        synchronize(model_.device_);
      } catch (const std::exception& exception) {
        throw model_.run_error(exception);
      }
    }

   private:
    const Aoti& model_;
    const std::vector<at::Tensor> inputs_;
    const c10::InferenceMode mode_;
    std::unique_ptr<Loader> own_;
  };

  Error run_error(const std::exception& exception) const {
    if (const auto* error = dynamic_cast<const Error*>(&exception)) return *error;
    return Error(kRunFailed, "forward() failed: " + essential_line(message_of(exception)),
                 "schema: " + package_schema(facts_, in_spec_));
  }

  std::string path_;
  PackageFacts facts_;
  at::Device device_;
  std::unique_ptr<Loader> loader_;
  JsonNode in_spec_;
  JsonNode out_spec_;
  std::vector<at::Tensor> inputs_;
};

}  // namespace

std::unique_ptr<Engine> open_aoti(const std::string& path, const Archive& archive,
                                  const LoadOptions& options) {
  return std::unique_ptr<Engine>(new Aoti(path, read_package(path, archive), options));
}

#else

std::unique_ptr<Engine> open_aoti(const std::string& path, const Archive&, const LoadOptions&) {
  throw Error(kModelNotLoaded,
              path +
                  " is a .pt2 package of AOTInductor, and this program was built with libtorch " +
                  libtorch_version() + ", which has no loader for those",
              "build the program with libtorch 2.6 or newer, or use the TorchScript model");
}

#endif

}  // namespace runner
