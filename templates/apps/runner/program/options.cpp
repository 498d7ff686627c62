#include "program/options.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <limits>

#include "app_info.h"
#include "program/error.h"

namespace runner {
namespace {

struct Option {
  const char* name;
  bool takes_value;
  void (*apply)(Options&, const std::string&);
};

std::int64_t read_count(const std::string& name, const std::string& text, std::int64_t least) {
  char* end = nullptr;
  errno = 0;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || errno == ERANGE || value < least ||
      value > std::numeric_limits<std::int32_t>::max()) {
    throw Error(kUsage, name + " takes a whole number of at least " + std::to_string(least) +
                            ", not '" + text + "'");
  }
  return value;
}

double read_tolerance(const std::string& name, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0)) {
    throw Error(kUsage, name + " takes a number of at least 0, not '" + text + "'");
  }
  return value;
}

std::uint64_t read_seed(const std::string& text) {
  char* end = nullptr;
  errno = 0;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || errno == ERANGE || text[0] == '-') {
    throw Error(kUsage, "--seed takes a whole number of at least 0, not '" + text + "'");
  }
  return value;
}

using Text = const std::string&;

const Option kOptions[] = {
    {"--model", true, [](Options& o, Text v) { o.model = v; }},
    {"--input", true, [](Options& o, Text v) { o.inputs.push_back(v); }},
    {"--method", true, [](Options& o, Text v) { o.method = v; }},
    {"--device", true, [](Options& o, Text v) { o.device = v; }},
    {"--threads", true, [](Options& o, Text v) { o.threads = read_count("--threads", v, 0); }},
    {"--interop-threads", true,
     [](Options& o, Text v) { o.interop_threads = read_count("--interop-threads", v, 0); }},
    {"--output", true, [](Options& o, Text v) { o.output = v; }},
    {"--expect", true, [](Options& o, Text v) { o.expect = v; }},
    {"--rtol", true, [](Options& o, Text v) { o.tolerance.rtol = read_tolerance("--rtol", v); }},
    {"--atol", true, [](Options& o, Text v) { o.tolerance.atol = read_tolerance("--atol", v); }},
    {"--benchmark", true,
     [](Options& o, Text v) { o.benchmark = read_count("--benchmark", v, 1); }},
    {"--warmup", true, [](Options& o, Text v) { o.warmup = read_count("--warmup", v, 0); }},
    {"--concurrency", true,
     [](Options& o, Text v) { o.concurrency = read_count("--concurrency", v, 1); }},
    {"--ops", true, [](Options& o, Text v) { o.ops.push_back(v); }},
    {"--seed", true,
     [](Options& o, Text v) {
       o.seed = read_seed(v);
       o.has_seed = true;
     }},
    {"--first", true, [](Options& o, Text v) { o.first = read_count("--first", v, 0); }},
    {"--info", false, [](Options& o, Text) { o.info = true; }},
    {"--json", false, [](Options& o, Text) { o.json = true; }},
    {"--grad", false, [](Options& o, Text) { o.grad = true; }},
    {"--no-grad", false, [](Options& o, Text) { o.grad = false; }},
    {"--default-dtype", true, [](Options& o, Text v) { o.default_dtype = v; }},
    {"--quantized-engine", true, [](Options& o, Text v) { o.quantized_engine = v; }},
    {"--flush-denormal", false, [](Options& o, Text) { o.flush_denormal = true; }},
    {"--no-flush-denormal", false, [](Options& o, Text) { o.flush_denormal = false; }},
    {"--deterministic", true,
     [](Options& o, Text v) {
       if (v != "on" && v != "warn" && v != "off") {
         throw Error(kUsage, "--deterministic takes on, warn or off, not '" + v + "'");
       }
       o.deterministic = v;
     }},
    {"--matmul-precision", true,
     [](Options& o, Text v) {
       if (v != "highest" && v != "high" && v != "medium") {
         throw Error(kUsage, "--matmul-precision takes highest, high or medium, not '" + v + "'");
       }
       o.matmul_precision = v;
     }},
    {"--freeze", false, [](Options& o, Text) { o.freeze = true; }},
    {"--optimize", false, [](Options& o, Text) { o.optimize = true; }},
    {"--help", false, [](Options& o, Text) { o.help = true; }},
    {"-h", false, [](Options& o, Text) { o.help = true; }},
    {"--version", false, [](Options& o, Text) { o.version = true; }},
};

// Levenshtein's, one row at a time.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

[[noreturn]] void reject(const std::string& name) {
  if (name.empty() || name[0] != '-') {
    throw Error(kUsage, "unexpected argument '" + name + "'",
                "a model is given as --model " + name);
  }
  const Option* nearest = nullptr;
  std::size_t distance = 3;
  for (const Option& option : kOptions) {
    const std::size_t d = edit_distance(name, option.name);
    if (d < distance) {
      distance = d;
      nearest = &option;
    }
  }
  throw Error(kUsage, "unknown option " + name,
              nearest != nullptr ? std::string("did you mean ") + nearest->name + "?"
                                 : "--help lists the options");
}

void check_together(const Options& options, const std::vector<std::string>& given) {
  const auto has = [&given](const char* name) {
    return std::find(given.begin(), given.end(), name) != given.end();
  };
  for (const char* name : {"--warmup", "--concurrency"}) {
    if (has(name) && options.benchmark == 0) {
      throw Error(kUsage, std::string(name) + " needs --benchmark");
    }
  }
  for (const char* name : {"--rtol", "--atol"}) {
    if (has(name) && !has("--expect")) throw Error(kUsage, std::string(name) + " needs --expect");
  }
  for (const char* name : {"--input", "--output", "--expect", "--benchmark"}) {
    if (has(name) && options.info) {
      throw Error(kUsage,
                  std::string("--info does not run the model: it cannot be combined with ") + name);
    }
  }
}

// The options that ask for a process, after the beginning of a line of --help, which they continue.
std::string with_process(std::string line, const Process& process) {
  const std::size_t begin = line.size();
  std::size_t length = line.size();
  const auto add = [&](const char* option, const std::string& value = std::string()) {
    const std::string words = std::string(" ") + option + (value.empty() ? "" : " " + value);
    if (length + words.size() > 100) {
      line += "\n" + std::string(25, ' ');
      length = 25;
    }
    line += (line.size() == begin ? ":" : "") + words;
    length += words.size();
  };
  if (process.grad) add("--grad");
  if (process.default_dtype != nullptr) add("--default-dtype", process.default_dtype);
  if (process.quantized_engine != nullptr) add("--quantized-engine", process.quantized_engine);
  if (process.flush_denormal) add("--flush-denormal");
  if (process.threads > 0) add("--threads", std::to_string(process.threads));
  if (process.interop_threads > 0) {
    add("--interop-threads", std::to_string(process.interop_threads));
  }
  if (process.deterministic != nullptr) add("--deterministic", process.deterministic);
  if (process.matmul_precision != nullptr) add("--matmul-precision", process.matmul_precision);
  return line + "\n";
}

std::string bundled_models() {
  if (app_info.model_count == 0) return "                     (this program has none of its own)\n";
  std::string text;
  for (std::size_t i = 0; i < app_info.model_count; ++i) {
    const std::string name = app_info.models[i].name;
    text += with_process(std::string(23, ' ') + name + (i == 0 ? " (default)" : ""),
                         app_info.models[i].process);
  }
  return text;
}

// What the options begin with: what the model wants, as far as it is known.
const Process& process_of(const std::string& model) {
  for (std::size_t i = 0; i < app_info.model_count; ++i) {
    if (model.empty() || model == app_info.models[i].name) return app_info.models[i].process;
  }
  return app_info.process;
}

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

void begin_with(const Process& process, Options* options) {
  options->grad = process.grad;
  options->flush_denormal = process.flush_denormal;
  options->default_dtype = text_or_empty(process.default_dtype);
  options->quantized_engine = text_or_empty(process.quantized_engine);
  options->deterministic = text_or_empty(process.deterministic);
  options->matmul_precision = text_or_empty(process.matmul_precision);
  options->threads = process.threads;
  options->interop_threads = process.interop_threads;
}

}  // namespace

Options parse_options(const std::vector<std::string>& arguments) {
  Options options;
  std::vector<std::string> given;
  std::vector<std::pair<const Option*, std::string>> settings;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const bool is_option = arguments[i].compare(0, 2, "--") == 0;
    const std::size_t equals = is_option ? arguments[i].find('=') : std::string::npos;
    const std::string name = arguments[i].substr(0, equals);
    const auto option = std::find_if(std::begin(kOptions), std::end(kOptions),
                                     [&name](const Option& o) { return name == o.name; });
    if (option == std::end(kOptions)) reject(name);
    std::string value;
    if (equals != std::string::npos) {
      if (!option->takes_value) throw Error(kUsage, name + " takes no value");
      value = arguments[i].substr(equals + 1);
    } else if (option->takes_value) {
      if (i + 1 == arguments.size()) throw Error(kUsage, name + " needs a value");
      value = arguments[++i];
    }
    settings.emplace_back(option, value);
    given.push_back(name);
  }
  std::string model;
  for (const auto& setting : settings) {
    if (std::string(setting.first->name) == "--model") model = setting.second;
  }
  begin_with(process_of(model), &options);
  for (const auto& setting : settings) setting.first->apply(options, setting.second);
  if (!options.help && !options.version) check_together(options, given);
  return options;
}

std::string help_text() {
  std::string text = std::string("usage: ") + app_info.name + " [options]\n";
  if (app_info.description != nullptr && app_info.description[0] != '\0') {
    text += std::string("\n") + app_info.description + "\n";
  }
  text +=
      "\nRuns a TorchScript model in evaluation mode.\n"
      "\n"
      "  --model FILE|NAME  the model: a file, or one that comes with this program:\n";
  text += bundled_models();
  text +=
      std::string() +
      "  --input SPEC       an argument of the method; repeat for more (see below)\n"
      "  --method NAME      the method to call (" +
      app_info.method +
      ")\n"
      "  --device DEVICE    cpu, cuda, cuda:1 ... (cpu)\n"
      "  --threads N        threads inside of operators (0: libtorch's choice)\n"
      "  --interop-threads N\n"
      "                     threads that run what the model forks (0: libtorch's choice)\n"
      "  --ops FILE         load an operator library before the model; repeatable\n"
      "  --seed N           as torch.manual_seed(N) before the inputs are made, and again just "
      "before\n"
      "                     the call\n"
      "  --grad, --no-grad  whether gradients can be computed inside of the model; without "
      "them\n"
      "                     calls are faster\n"
      "  --default-dtype D  as torch.set_default_dtype\n"
      "  --quantized-engine E\n"
      "                     as torch.backends.quantized.engine\n"
      "  --flush-denormal, --no-flush-denormal\n"
      "                     as torch.set_flush_denormal\n"
      "  --deterministic on|warn|off\n"
      "                     as torch.use_deterministic_algorithms\n"
      "  --matmul-precision highest|high|medium\n"
      "                     as torch.set_float32_matmul_precision\n"
      "                     all of these begin as the model wants them; a file gets what all "
      "models of\n" +
      with_process("                     this program want", app_info.process) +
      "  --freeze           as torch.jit.freeze\n"
      "  --optimize         as torch.jit.optimize_for_inference (from libtorch 1.10)\n"
      "  --info             describe the model and libtorch instead of running\n"
      "  --help, --version\n"
      "\n"
      "Results:\n"
      "  --first N          how many values of each tensor to print (5)\n"
      "  --json             print one JSON document; a tensor has type, dtype, shape and its "
      "first\n"
      "                     values in one flat list; nan, inf and -inf are strings; what the "
      "model\n"
      "                     itself prints goes to stderr\n"
      "  --output FILE      write the outputs: FILE.npy (a single tensor), or FILE.pt, which\n"
      "                     torch.load(FILE.pt, weights_only=True) reads\n"
      "  --expect FILE      compare with a .pt or .npy file: structure, dtypes, shapes, and "
      "values\n"
      "                     |output - expected| <= atol + rtol * |expected|; nan equals nan\n"
      "                     (--output writes a named tuple as a tuple, an object as the dict of "
      "its\n"
      "                     attributes, a member of an enum as its value; --expect and --input "
      "know\n"
      "                     all of these)\n"
      "  --rtol R --atol A  tolerances; default by dtype, as torch.testing.assert_close:\n"
      "                     float16 1e-3, 1e-5; bfloat16 1.6e-2, 1e-5; float32 1.3e-6, 1e-5;\n"
      "                     float64 1e-7, 1e-7; others exact\n"
      "  --benchmark N      time N calls in each thread and print latencies and throughput\n"
      "  --warmup N         calls of each thread before the timed ones (10)\n"
      "  --concurrency N    threads that call the model at the same time (1); a model that "
      "changes\n"
      "                     itself, and a .pt2 package, is copied for each\n"
      "\n"
      "SPEC of --input, or NAME=SPEC for the argument NAME:\n"
      "  ones:1x3x224x224   a tensor of ones; so zeros: and arange: (0, 1, 2 ...), and rand: and\n"
      "                     randn: (the values of torch.rand and torch.randn on the CPU);\n"
      "                     an empty shape (ones:) is a 0-dimensional tensor\n"
      "  full:0.5:1x3       a tensor of one value\n"
      "  randint:1000:1x16  whole numbers from 0 to 999 (int64)\n"
      "                     all of these take a dtype at the end, as in ones:1x3:float16; else\n"
      "                     they are float32\n"
      "  x.npy, x.pt        a NumPy array; what torch.save wrote of tensors, tuples, lists, "
      "dicts,\n"
      "                     numbers, strings and None; file:PATH for other file names (.pt)\n"
      "  args:all.pt        a tuple in a .pt file that supplies all positional arguments\n"
      "  3  0.5  true  none  str:text  int:3  float:0.5  bool:true\n"
      "  ints:1,2  floats:0.1,0.2  bools:true,false  strs:a,b\n"
      "  [SPEC;SPEC]  (SPEC;SPEC)   lists and tuples of these\n"
      "\n"
      "Exit codes:\n"
      "  0  ok\n"
      "  1  error while the model ran, or its output could not be written\n"
      "  2  wrong option or input, or inputs that the method does not take\n"
      "  3  the model cannot be loaded\n"
      "  4  the device is not available\n"
      "  5  the outputs differ from --expect\n";
  return text;
}

}  // namespace runner
