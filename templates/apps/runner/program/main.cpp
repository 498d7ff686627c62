// The program: options in, exit code out. See --help.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "app_info.h"
#include "engines/benchmark.h"
#include "engines/engine.h"
#include "engines/libtorch.h"
#include "files/archive.h"
#include "files/npy.h"
#include "files/pt_reader.h"
#include "files/pt_writer.h"
#include "program/compare.h"
#include "program/crash.h"
#include "program/error.h"
#include "program/input_spec.h"
#include "program/json.h"
#include "program/options.h"
#include "program/platform.h"
#include "program/print.h"
#include "program/process.h"
#include "values/unpacked.h"

namespace runner {
namespace {

bool has_suffix(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() &&
         text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::string model_path(const std::string& wanted) {
  for (std::size_t i = 0; i < app_info.model_count; ++i) {
    if (wanted.empty() || wanted == app_info.models[i].name) {
      return beside_executable(app_info.models[i].path);
    }
  }
  if (wanted.empty()) throw Error(kUsage, "no model given", "--model FILE");
  if (wanted.find_first_of("/\\.") == std::string::npos && !open_file(wanted)) {
    std::string known;
    for (std::size_t i = 0; i < app_info.model_count; ++i) {
      known += std::string(i > 0 ? ", " : "models of this program: ") + app_info.models[i].name;
    }
    throw Error(kModelNotLoaded, "no such model: " + wanted, known);
  }
  return wanted;
}

std::unique_ptr<Engine> open_guarded(const std::string& path, const Archive& archive,
                                     const LoadOptions& options) {
  const CrashGuard guard(
      std::string(app_info.name) + ": error: libtorch crashed while it read " + path +
          "\nhint: the file is damaged, has code that this libtorch cannot take, or "
          "program and libtorch do not fit together\n",
      kModelNotLoaded);
  return open_engine(path, archive, options);
}

Json& begin_report(Json* json, const std::string& model) {
  json->begin_object().key("app").string(app_info.name).key("version").string(app_info.version);
  return json->key("libtorch").string(libtorch_version()).key("model").string(model);
}

void write_output(const Value& output, const std::string& path) {
  if (!has_suffix(path, ".npy")) return write_pt(output, path);
  if (output.kind != Value::Kind::kTensor) {
    throw Error(kRunFailed,
                path + ": the output is a " + kind_name(output.kind) +
                    ", and a .npy file holds a single tensor",
                "use --output FILE.pt");
  }
  write_npy(*output.tensor, path);
}

void report_totals(const char* name, const TensorTotals& totals, Json* json) {
  json->key(name).begin_object().key("tensors").integer(totals.tensors);
  json->key("elements").integer(totals.elements).key("bytes").integer(totals.bytes).end_object();
}

std::string totals_text(const char* name, const TensorTotals& totals) {
  return std::string(name) + std::to_string(totals.elements) + " in " +
         std::to_string(totals.tensors) + " tensors (" + std::to_string(totals.bytes) + " bytes)\n";
}

void report_info(const Options& options, const std::string& path, const Archive& archive,
                 const Engine& engine) {
  const ModelInfo info = engine.info();
  const LibtorchInfo libtorch = libtorch_info();
  const std::vector<std::string> extra_files = archive.extra_files();
  if (options.json) {
    Json json;
    begin_report(&json, path).key("type").string(info.type);
    json.key("format_version").string(archive.format_version).key("methods").begin_array();
    for (const std::string& method : info.methods) json.string(method);
    json.end_array();
    report_totals("parameters", info.parameters, &json);
    report_totals("buffers", info.buffers, &json);
    json.key("extra_files").begin_array();
    for (const std::string& file : extra_files) json.string(file);
    json.end_array();
    for (const auto& fact : info.more) json.key(fact.first).string(fact.second);
    json.key("threads").integer(libtorch.threads);
    json.key("cuda_built").boolean(libtorch.cuda_built);
    json.key("cuda_devices").integer(libtorch.cuda_devices).end_object();
    return print(json.text() + "\n");
  }
  std::string text = "model:        " + path + "\n";
  text += "type:         " + info.type + "\n";
  text += "file format:  " + archive.format_version + "\n";
  for (const std::string& method : info.methods) text += "method:       " + method + "\n";
  text += totals_text("parameters:   ", info.parameters);
  text += totals_text("buffers:      ", info.buffers);
  for (const std::string& file : extra_files) text += "extra file:   " + file + "\n";
  for (const auto& fact : info.more) {
    std::string name = fact.first + ":";
    std::replace(name.begin(), name.end(), '_', ' ');
    text += name + std::string(14 - name.size(), ' ') + fact.second + "\n";
  }
  text += "libtorch:     " + libtorch.version + "\n";
  text += "threads:      " + std::to_string(libtorch.threads) + "\n";
  text += "CUDA:         ";
  text += libtorch.cuda_built ? std::to_string(libtorch.cuda_devices) + " devices\n"
                              : "not in this libtorch\n";
  print(text);
}

void report_benchmark(const Options& options, const BenchmarkResult& result, Json* json) {
  const std::pair<const char*, double> latencies[] = {
      {"mean", result.mean_ms}, {"min", result.min_ms}, {"p50", result.p50_ms},
      {"p90", result.p90_ms},   {"p99", result.p99_ms}, {"max", result.max_ms},
  };
  if (options.json) {
    json->key("benchmark").begin_object().key("calls").integer(options.benchmark);
    json->key("warmup").integer(options.warmup);
    json->key("concurrency").integer(options.concurrency);
    json->key("threads").integer(libtorch_info().threads).key("latency_ms").begin_object();
    for (const auto& latency : latencies) json->key(latency.first).number(latency.second);
    json->end_object().key("calls_per_second").number(result.calls_per_second).end_object();
    return;
  }
  std::string text = "latency in ms:";
  for (const auto& latency : latencies) {
    char buffer[64];
    std::snprintf(buffer, sizeof(buffer), "  %s %.4f", latency.first, latency.second);
    text += buffer;
  }
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "\nthroughput: %.1f calls/s", result.calls_per_second);
  text += buffer;
  if (options.concurrency > 1) text += " by " + std::to_string(options.concurrency) + " threads";
  print(text + "\n");
}

Comparison report_comparison(const Options& options, const Value& output, const Value& expected,
                             Json* json) {
  const Comparison comparison = compare(output, expected, options.tolerance);
  if (options.json) {
    json->key("comparison").begin_object().key("match").boolean(comparison.match);
    json->key("max_absolute").number(comparison.max_absolute);
    json->key("max_relative").number(comparison.max_relative);
    if (!comparison.match) {
      json->key("place").string(comparison.place).key("message").string(comparison.message);
      json->key("kind").string(comparison.kind).key("tolerable").boolean(comparison.tolerable);
      json->key("different").integer(comparison.different);
      json->key("compared").integer(comparison.compared);
    }
    json->end_object();
  } else if (comparison.match) {
    print("outputs match (largest difference " + number_text(comparison.max_absolute) +
          ", relative " + number_text(comparison.max_relative) + ")\n");
  }
  return comparison;
}

Value read_expected(const std::string& path) {
  return has_suffix(path, ".npy") ? make_tensor(read_npy(path)) : unpacked(read_pt(path));
}

// Before anything else uses libtorch: threads inherit how they treat denormal numbers.
void prepare_process(const Options& options) {
  if (options.flush_denormal) set_flush_denormal();
  if (options.threads > 0) set_threads(static_cast<int>(options.threads));
  if (options.interop_threads > 0) {
    set_interop_threads(static_cast<int>(options.interop_threads));
  }
  if (!options.default_dtype.empty()) set_default_dtype(options.default_dtype);
  if (!options.quantized_engine.empty()) set_quantized_engine(options.quantized_engine);
  if (options.deterministic == "on" || options.deterministic == "warn") {
    set_deterministic(options.deterministic == "warn");
  }
  if (!options.matmul_precision.empty() && options.matmul_precision != "highest") {
    set_matmul_precision(options.matmul_precision);
  }
}

// Wider tolerances are for a model that rounds, not for one whose outputs are others at each call.
std::string advice(const Comparison& found, const Value& output, const Value& expected,
                   const Tolerance& tolerance, Engine* engine) {
  if (!found.tolerable) return std::string();
  try {
    const Value again = engine->run();
    // A model can return its own state, so that the first output is what the second is, too.
    const double largest = compare(again, expected, tolerance).max_absolute;
    const bool is_same = !(std::abs(largest - found.max_absolute) > 0.1 * found.max_absolute);
    if (is_same && compare(again, output, tolerance).match) {
      return "--rtol and --atol widen what is taken as equal";
    }
  } catch (const Error&) {  // what a second call says is no answer to the first
    return std::string();
  }
  return "its outputs differ from call to call: it draws random numbers (--seed N, as Python had; "
         "they are others in other releases of torch), or keeps state between calls";
}

int run(const Options& options) {
  std::vector<InputSpec> inputs;
  for (const std::string& input : options.inputs) inputs.push_back(parse_input(input));
  const std::string path = model_path(options.model);
  if (options.json) print_models_to_stderr();
  prepare_process(options);

  for (std::size_t i = 0; i < app_info.op_library_count; ++i) {
    load_library(beside_executable(app_info.op_libraries[i]));
  }
  for (const std::string& library : options.ops) load_library(library);

  LoadOptions load;
  load.device = options.device;
  load.method = options.method;
  load.freeze = options.freeze;
  load.optimize = options.optimize;
  load.grad = options.grad;
  load.shared = options.concurrency > 1;
  const Archive archive = read_archive(path);
  const std::unique_ptr<Engine> engine = open_guarded(path, archive, load);
  if (options.info) {
    report_info(options, path, archive, *engine);
    return kOk;
  }

  if (options.has_seed) set_seed(options.seed);
  engine->set_inputs(inputs);
  Value expected;
  if (!options.expect.empty()) expected = read_expected(options.expect);

  Json json;
  begin_report(&json, path).key("method").string(options.method);
  json.key("device").string(options.device);
  Comparison comparison;
  std::string hint;
  if (options.benchmark == 0 || !options.output.empty() || !options.expect.empty()) {
    if (options.has_seed) set_seed(options.seed);
    const Value output = engine->run();
    if (options.json) {
      json.key("output").value(output, options.first);
    } else if (options.benchmark == 0) {
      print(as_text(output, options.first));
    }
    if (!options.output.empty()) write_output(output, options.output);
    if (!options.expect.empty()) {
      comparison = report_comparison(options, output, expected, &json);
      if (!comparison.match)
        hint = advice(comparison, output, expected, options.tolerance, engine.get());
    }
  }
  if (options.benchmark > 0 && comparison.match) {
    BenchmarkOptions how;
    how.calls = options.benchmark;
    how.warmup = options.warmup;
    how.concurrency = options.concurrency;
    report_benchmark(options, benchmark(engine.get(), how), &json);
  }
  if (options.json) print(json.end_object().text() + "\n");
  if (!comparison.match) {
    throw Error(kOutputsDiffer, "outputs differ: " + comparison.place + " " + comparison.message,
                hint);
  }
  return kOk;
}

int complain(const std::string& message, const std::string& hint, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s: error: %s\n", app_info.name, message.c_str());
  if (!hint.empty()) std::fprintf(stderr, "hint: %s\n", hint.c_str());
  return code;
}

}  // namespace
}  // namespace runner

int main(int argc, char** argv) {
  using namespace runner;
  try {
    const Options options = parse_options(command_line(argc, argv));
    if (options.help) {
      print(help_text());
      return kOk;
    }
    if (options.version) {
      print(std::string(app_info.name) + " " + app_info.version + " (libtorch " +
            libtorch_version() + ")\n");
      return kOk;
    }
    const int code = run(options);
    if (std::fflush(stdout) != 0) throw Error(kRunFailed, "the results could not be printed");
    leave(code);
  } catch (const Error& error) {
    leave(complain(error.what(), error.hint, error.code));
  } catch (const std::exception& error) {
    leave(complain(error.what(), "", kRunFailed));
  }
}
