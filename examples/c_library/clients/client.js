// npm install koffi; node client.js LIBRARY
const koffi = require("koffi");

const library = koffi.load(process.argv[2]);
const declare = (text) => library.func(text);
const lastError = declare("const char *series_last_error()");
const functions = {
  open: declare("int series_open(void *options, _Out_ uint64_t *model)"),
  methodCount: declare("int series_method_count(uint64_t model, _Out_ size_t *count)"),
  methodSchema: declare("int series_method_schema(uint64_t model, size_t index, _Out_ const char **schema)"),
  call: declare(
    "int series_call(uint64_t model, const char *method, const uint64_t *arguments, size_t count, _Out_ uint64_t *result)",
  ),
  float: declare("int series_float(double number, _Out_ uint64_t *value)"),
  string: declare("int series_string(const char *text, size_t bytes, _Out_ uint64_t *value)"),
  list: declare("int series_list(const uint64_t *items, size_t count, _Out_ uint64_t *value)"),
  tensorCopy: declare(
    "int series_tensor_copy(const float *data, const char *dtype, const int64_t *shape, size_t dimensions, _Out_ uint64_t *value)",
  ),
  find: declare("int series_find(uint64_t value, const char *name, _Out_ uint64_t *item)"),
  item: declare("int series_item(uint64_t value, size_t index, _Out_ uint64_t *item)"),
  size: declare("int series_size(uint64_t value, _Out_ size_t *size)"),
  getText: declare("int series_get_text(uint64_t value, _Out_ const char **text, void *bytes)"),
  getInt: declare("int series_get_int(uint64_t value, _Out_ int64_t *number)"),
};
const read = declare("int series_read(uint64_t value, _Out_ float *data, size_t bytes)");
const free = declare("int series_free(uint64_t value)");
const close = declare("int series_close(uint64_t model)");

function check(status) {
  if (status !== 0) throw new Error(`error ${status}: ${lastError()}`);
}

// What a function gives by its last argument.
function give(name, ...parameters) {
  const out = [null];
  const more = name === "getText" ? [null] : [];
  check(functions[name](...parameters, out, ...more));
  return out[0];
}

const call = (model, method, ...values) => give("call", model, method, values, values.length);

const model = give("open", null);
for (let i = 0; i < give("methodCount", model); ++i) console.log(give("methodSchema", model, i));

const series = give("tensorCopy", new Float32Array([1, 2, 3, 4, 2, 6]), "float32", [2, 3], 2);
const scale = give("float", 0.5);
const first = call(model, null, series, scale);
for (const [name, count] of [["scaled", 6], ["mean", 2]]) {
  const tensor = give("find", first, name);
  const numbers = new Float32Array(count);
  check(read(tensor, numbers, numbers.byteLength));
  console.log(`${name}: ${Array.from(numbers, (n) => n.toFixed(6)).join(" ")}`);
  check(free(tensor));
}

const texts = ["a", "b"].map((text) => give("string", text, text.length));
const names = give("list", texts, texts.length);
const second = call(model, "describe", series, names);
const words = give("item", second, 0);
console.log(give("getText", words));
const counts = give("item", second, 1);
for (let i = 0; i < give("size", counts); ++i) {
  const item = give("item", counts, i);
  console.log(`rises: ${give("getInt", item)}`);
  check(free(item));
}

try {
  call(model, "forward", series);
} catch (error) {
  console.log(error.message);
}
for (const value of [series, scale, first, ...texts, names, second, words, counts]) check(free(value));
check(close(model));
