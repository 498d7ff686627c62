#include "engines/torchscript.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "engines/arguments.h"
#include "engines/devices.h"
#include "engines/failures.h"
#include "engines/libtorch.h"
#include "engines/state.h"
#include "program/error.h"
#include "program/platform.h"
#include "values/from_torch.h"
#include "values/keep.h"
#include "values/torch_headers.h"

namespace runner {
namespace {

#if TORCH_AT_LEAST(1, 9)
using InferenceGuard = c10::InferenceMode;
#else
struct InferenceGuard {
  at::AutoNonVariableTypeMode dispatch{true};
  at::NoGradGuard no_grad;
};
#endif

// Without gradients, unless the model computes them itself.
class CallMode {
 public:
  explicit CallMode(bool grad) {
    if (!grad) guard_ = new (&place_) InferenceGuard;
  }
  CallMode(const CallMode&) = delete;
  ~CallMode() {
    if (guard_ != nullptr) guard_->~InferenceGuard();
  }

 private:
  alignas(InferenceGuard) unsigned char place_[sizeof(InferenceGuard)];
  InferenceGuard* guard_ = nullptr;
};

// Weights that are made without gradients are not watched for views of them, which spares a sixth
// of a small call.
#if TORCH_AT_LEAST(2, 0)
using LoadMode = CallMode;
#else
struct LoadMode {
  explicit LoadMode(bool) {}
};
#endif

// libtorch opens files by narrow names, which on Windows cannot be all names.
class FileReader final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit FileReader(File file) : file_(std::move(file)), size_(file_size(file_.get())) {}

  std::size_t size() const override { return static_cast<std::size_t>(size_); }

  std::size_t read(std::uint64_t position, void* buffer, std::size_t n,
                   const char*) const override {
    const std::size_t count =
        seek(file_.get(), position) ? std::fread(buffer, 1, n, file_.get()) : 0;
#if !TORCH_AT_LEAST(2, 0)
    hide_debug_files(static_cast<char*>(buffer), count);
#endif
    return count;
  }

 private:
#if !TORCH_AT_LEAST(2, 0)
  // What load_debug_files=false does from 2.0 on: without the records NAME.debug_pkl errors come
  // without places in the Python source, which are not shown anyway. Before 1.11 libtorch cannot
  // read those of newer releases, and then reports that instead of the error.
  static void hide_debug_files(char* data, std::size_t size) {
    static const char kSuffix[] = ".py.debug_pkl";
    char* const end = data + size;
    char* at = data;
    while ((at = std::search(at, end, kSuffix, kSuffix + sizeof(kSuffix) - 1)) != end) {
      std::memcpy(at, ".py.unused_pk", sizeof(kSuffix) - 1);
    }
  }
#endif

  File file_;
  std::uint64_t size_;
};

torch::jit::Module load(const std::string& path, const at::Device& device) {
  File file = open_file(path);
  if (!file) {
    throw Error(kModelNotLoaded, "cannot open the model " + path + ": " + std::strerror(errno));
  }
  try {
    std::unique_ptr<FileReader> reader(new FileReader(std::move(file)));
#if TORCH_AT_LEAST(2, 0)
    auto module = torch::jit::load(std::move(reader), device, /*load_debug_files=*/false);
#else
    auto module = torch::jit::load(std::move(reader), device);
#endif
    module.eval();
    return module;
  } catch (const std::exception& exception) {
    throw load_error(path, exception);
  }
}

// The code of all its classes and functions, which is what the model's calls run.
std::string read_code(const std::string& path) {
  std::string code;
  try {
    caffe2::serialize::PyTorchStreamReader reader(
        std::unique_ptr<FileReader>(new FileReader(open_file(path))));
    for (const std::string& name : reader.getAllRecords()) {
      if (name.compare(0, 5, "code/") != 0 || name.compare(name.size() - 3, 3, ".py") != 0)
        continue;
      const auto record = reader.getRecord(name);
      code.append(static_cast<const char*>(std::get<0>(record).get()), std::get<1>(record));
      code += '\n';
    }
  } catch (const std::exception& exception) {
    throw load_error(path, exception);
  }
  return code;
}

torch::jit::Module prepare(torch::jit::Module module, const LoadOptions& options) {
#if !TORCH_AT_LEAST(1, 10)
  if (options.optimize) {
    throw Error(kUsage, "--optimize needs libtorch 1.10 or newer; this is " + libtorch_version());
  }
#endif
  try {
    if (options.freeze || options.optimize) {
      std::vector<std::string> kept;
      if (options.method != "forward") kept.push_back(options.method);
#if TORCH_AT_LEAST(1, 9)
      module = torch::jit::freeze(module, kept);
#else  // where freeze() takes only modules that are NOT in evaluation mode, by mistake
      module = torch::jit::freeze_module(module, kept);
      auto graph = module.get_method(options.method).graph();
      torch::jit::OptimizeFrozenGraph(graph);
#endif
    }
#if TORCH_AT_LEAST(1, 10)
    if (options.optimize) {
#if TORCH_AT_LEAST(1, 11)
      std::vector<std::string> others;
      if (options.method != "forward") others.push_back(options.method);
      module = torch::jit::optimize_for_inference(module, others);
#else
      module = torch::jit::optimize_for_inference(module);
#endif
    }
#endif
  } catch (const std::exception& exception) {
    throw Error(kModelNotLoaded, std::string(options.optimize ? "--optimize" : "--freeze") +
                                     " failed: " + essential_line(message_of(exception)));
  }
  return module;
}

void add_tensor(const at::Tensor& tensor, TensorTotals* totals) {
  if (!tensor.defined()) return;
  totals->tensors += 1;
  totals->elements += tensor.numel();
  totals->bytes += tensor.numel() * static_cast<std::int64_t>(tensor.element_size());
}

// What Module::parameters() and buffers() list, without their iterators, which compile slowly.
void add_tensors(const c10::ivalue::Object& object, ModelInfo* info) {
  const auto type = object.type();
  for (std::size_t i = 0; i < type->numAttributes(); ++i) {
    const IValue& value = object.getSlot(i);
    if (type->getAttribute(i)->is_module()) {
      add_tensors(*value.toObject(), info);
    } else if (value.isTensor() && type->is_parameter(i)) {
      add_tensor(value.toTensor(), &info->parameters);
    } else if (type->is_buffer(i) && type->getAttribute(i)->isSubtypeOf(c10::TensorType::get())) {
      add_tensor(value.toTensor(), &info->buffers);
    }
  }
}

bool is_about_another_device(const std::string& message) {
  for (const char* sign : {"from the 'CUDA' backend", "CUDA driver", "with CUDA", "CUDA_HOME",
                           "PyTorch is not linked with support for", "NVIDIA"}) {
    if (message.find(sign) != std::string::npos) return true;
  }
  return false;
}

class TorchScript final : public Engine {
 public:
  TorchScript(const std::string& path, const LoadOptions& options)
      : device_(parse_device(options.device)), grad_(options.grad) {
    const LoadMode mode(grad_);
    module_ = load(path, device_);
    if (!options.method.empty()) {
      find_method(options.method, path);
      module_ = prepare(std::move(module_), options);
      function_ = module_.type()->findMethod(options.method);
    }
    keeps_state_ = options.shared && keeps_state(read_code(path));
    arguments_ = {module_._ivalue()};
  }

  void set_inputs(const std::vector<InputSpec>& inputs) override {
    arguments_ = make_arguments(*function_, module_._ivalue(), inputs, device_);
  }

  Value run() override {
    const CallMode mode(grad_);
    Stack stack;
    try {
      call(arguments_, &stack);
      return from_torch(stack.back());
    } catch (const std::exception& exception) {
      throw run_error(*function_, arguments_, exception);
    }
  }

  Value call(const std::string& method, const SharedValues& inputs) override {
    torch::jit::Function* const function = find_method(method);
    const CallMode mode(grad_);
    Stack stack;
    try {
      stack = make_arguments(*function, module_._ivalue(), inputs, device_);
      std::unique_lock<std::mutex> turn(turn_, std::defer_lock);
      if (keeps_state_) turn.lock();
      function->run(stack);
      synchronize(device_);
      return from_torch(stack.back(), keep);
    } catch (const std::exception& exception) {
      throw run_error(*function, {}, exception);
    }
  }

  std::unique_ptr<Session> new_session(bool first) override {
    at::init_num_threads();
    Stack arguments = arguments_;
    if (keeps_state_ && !first) {
      const LoadMode mode(grad_);
      try {
        arguments[0] = module_.deepcopy()._ivalue();
      } catch (const std::exception& exception) {
        throw Error(kRunFailed,
                    "--concurrency: the model cannot be copied for each thread: " +
                        essential_line(message_of(exception)),
                    "leave --concurrency out");
      }
    }
    return std::unique_ptr<Session>(new Calls(*this, std::move(arguments)));
  }

  ModelInfo info() const override {
    ModelInfo info;
    info.type = module_.type()->annotation_str();
    for (const torch::jit::Function* method : module_.type()->methods()) {
      info.methods.push_back(schema_text(*method));
    }
    add_tensors(*module_._ivalue(), &info);
    return info;
  }

 private:
  class Calls final : public Session {
   public:
    Calls(const TorchScript& model, Stack arguments)
        : model_(model), arguments_(std::move(arguments)), mode_(model.grad_) {}

    void call() override {
      try {
        model_.call(arguments_, &stack_);
        synchronize(model_.device_);
      } catch (const std::exception& exception) {
        throw model_.run_error(*model_.function_, arguments_, exception);
      }
    }

   private:
    const TorchScript& model_;
    const Stack arguments_;
    const CallMode mode_;
    Stack stack_;
  };

  torch::jit::Function* find_method(const std::string& name,
                                    const std::string& path = std::string()) const {
    torch::jit::Function* const function = module_.type()->findMethod(name);
    if (function != nullptr) return function;
    std::string known;
    for (const torch::jit::Function* method : module_.type()->methods()) {
      known += (known.empty() ? "" : ", ") + method->name();
    }
    throw Error(kUsage, path + (path.empty() ? "" : ": ") + "the model has no method " + name,
                known.empty() ? "" : "its methods: " + known);
  }

  void call(const Stack& arguments, Stack* stack) const {
    stack->assign(arguments.begin(), arguments.end());
    function_->run(*stack);
  }

  // The failure of a call, with what the method was given, or what to do about it.
  Error run_error(const torch::jit::Function& function, const Stack& arguments,
                  const std::exception& exception) const {
    if (const auto* error = dynamic_cast<const Error*>(&exception)) return *error;
    const std::string message = message_of(exception);
    const std::string what = function.name() + "() failed: " + essential_line(message);
    if (!grad_ && (message.find("does not require grad") != std::string::npos ||
                   message.find("nference tensor") != std::string::npos)) {
      return Error(kRunFailed, what, "the model computes gradients itself: use --grad");
    }
    if (device_.is_cpu() && is_about_another_device(message)) {
      return Error(kRunFailed, what,
                   "the model's code names a device: export it again on the CPU, with x.device in "
                   "the place of the device's name");
    }
    std::string inputs;
    const auto& names = function.getSchema().arguments();
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      inputs += (i > 1 ? ", " : "; called with ") + names[i].name() + " = " +
                describe_value(arguments[i]);
    }
    return Error(kRunFailed, what, "schema: " + schema_text(function) + inputs);
  }

  at::Device device_;
  bool grad_;
  torch::jit::Module module_;
  torch::jit::Function* function_ = nullptr;
  Stack arguments_;  // the module itself, then the inputs
  bool keeps_state_ = false;
  std::mutex turn_;  // of the callers of a model that keeps state
};

}  // namespace

std::unique_ptr<Engine> open_torchscript(const std::string& path, const LoadOptions& options) {
  return std::unique_ptr<Engine>(new TorchScript(path, options));
}

}  // namespace runner
