#include "files/npy.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "program/error.h"
#include "program/platform.h"

namespace runner {
namespace {

// After the byte order mark, which is '|' for single bytes and '<' for the others.
struct Descr {
  const char* code;
  Element element;
};

const Descr kDescrs[] = {
    {"b1", Element::kBool},      {"u1", Element::kUInt8},       {"i1", Element::kInt8},
    {"u2", Element::kUInt16},    {"i2", Element::kInt16},       {"u4", Element::kUInt32},
    {"i4", Element::kInt32},     {"u8", Element::kUInt64},      {"i8", Element::kInt64},
    {"f2", Element::kFloat16},   {"f4", Element::kFloat32},     {"f8", Element::kFloat64},
    {"c8", Element::kComplex64}, {"c16", Element::kComplex128},
};

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error(kUsage, path + ": " + what);
}

struct Header {
  Element element = Element::kFloat32;
  bool fortran = false;
  std::vector<std::int64_t> shape;
};

// The text that follows 'key': in the header's Python dict.
std::string entry(const std::string& path, const std::string& header, const std::string& key) {
  std::size_t at = header.find("'" + key + "'");
  if (at == std::string::npos) fail(path, "damaged .npy header: no '" + key + "'");
  at = header.find(':', at + key.size() + 2);
  if (at == std::string::npos) fail(path, "damaged .npy header after '" + key + "'");
  at = header.find_first_not_of(" ", at + 1);
  return at == std::string::npos ? std::string() : header.substr(at);
}

Element parse_descr(const std::string& path, const std::string& text) {
  if (!text.empty() && text[0] == '[') fail(path, "structured arrays cannot be read");
  const std::size_t end =
      text.size() > 1 && text[0] == '\'' ? text.find('\'', 1) : std::string::npos;
  if (end == std::string::npos) fail(path, "damaged .npy header: no dtype");
  const std::string descr = text.substr(1, end - 1);
  const char order = descr.empty() ? '\0' : descr[0];
  const std::string code = order == '<' || order == '|' || order == '=' ? descr.substr(1) : descr;
  if (order == '>') {
    fail(path, "big-endian data ('" + descr + "') cannot be read: save array.astype('<" +
                   descr.substr(1) + "')");
  }
  Element element = Element::kFloat32;
  if (find_npy_element(code, &element)) return element;
  fail(path, "dtype '" + descr + "' cannot be read (only numbers and bool)");
}

std::vector<std::int64_t> header_shape(const std::string& path, const std::string& text) {
  const std::size_t end = text.find(')');
  if (text.empty() || text[0] != '(' || end == std::string::npos) {
    fail(path, "damaged .npy header: no shape");
  }
  std::vector<std::int64_t> shape;
  std::size_t at = 1;
  while ((at = text.find_first_not_of(" ,", at)) < end) {
    char* stop = nullptr;
    errno = 0;
    const long long size = std::strtoll(text.c_str() + at, &stop, 10);
    const std::size_t next = static_cast<std::size_t>(stop - text.c_str());
    if (next == at || errno == ERANGE || size < 0) fail(path, "damaged .npy header: bad shape");
    shape.push_back(size);
    at = *stop == 'L' ? next + 1 : next;  // Python 2 wrote (3L, 4L)
  }
  return shape;
}

std::size_t byte_count(const std::string& path, const Header& header) {
  std::size_t bytes = element_size(header.element);
  bool empty = false;
  for (std::int64_t size : header.shape) empty = empty || size == 0;
  if (empty) return 0;
  for (std::int64_t size : header.shape) {
    const std::size_t limit = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
    if (static_cast<std::size_t>(size) > limit / bytes) fail(path, "the shape is too large");
    bytes *= static_cast<std::size_t>(size);
  }
  return bytes;
}

void read_exactly(const std::string& path, std::FILE* file, void* to, std::size_t size) {
  if (std::fread(to, 1, size, file) != size) fail(path, "truncated .npy file");
}

Header read_header(const std::string& path, std::FILE* file, std::uint64_t file_bytes) {
  unsigned char start[8];
  if (std::fread(start, 1, 8, file) != 8 || std::memcmp(start, "\x93NUMPY", 6) != 0) {
    fail(path, "not a .npy file");
  }
  const int version = start[6];
  if (version < 1 || version > 3) {
    fail(path, ".npy format version " + std::to_string(version) + " is not known");
  }
  unsigned char length_bytes[4] = {0, 0, 0, 0};
  read_exactly(path, file, length_bytes, version == 1 ? 2 : 4);
  const std::uint32_t length = length_bytes[0] | length_bytes[1] << 8 | length_bytes[2] << 16 |
                               static_cast<std::uint32_t>(length_bytes[3]) << 24;
  if (length > file_bytes) fail(path, "truncated .npy file");
  std::string text(length, '\0');
  read_exactly(path, file, &text[0], length);

  Header header;
  header.element = parse_descr(path, entry(path, text, "descr"));
  header.fortran = entry(path, text, "fortran_order").compare(0, 4, "True") == 0;
  header.shape = header_shape(path, entry(path, text, "shape"));
  return header;
}

// Copies elements that lie with the first dimension fastest to the order of Tensor.
std::shared_ptr<char> from_fortran(const char* from, const Header& header, std::size_t bytes) {
  const std::size_t size = element_size(header.element);
  const std::size_t rank = header.shape.size();
  std::vector<std::size_t> stride(rank, size);
  for (std::size_t d = 1; d < rank; ++d) {
    stride[d] = stride[d - 1] * static_cast<std::size_t>(header.shape[d - 1]);
  }
  std::shared_ptr<char> data(new char[bytes], std::default_delete<char[]>());
  std::vector<std::int64_t> index(rank, 0);
  std::size_t offset = 0;
  for (char* to = data.get(); to < data.get() + bytes; to += size) {
    std::memcpy(to, from + offset, size);
    for (std::size_t d = rank; d-- > 0;) {
      offset += stride[d];
      if (++index[d] < header.shape[d]) break;
      offset -= stride[d] * static_cast<std::size_t>(header.shape[d]);
      index[d] = 0;
    }
  }
  return data;
}

}  // namespace

bool find_npy_element(const std::string& code, Element* element) {
  for (const Descr& known : kDescrs) {
    if (code != known.code) continue;
    *element = known.element;
    return true;
  }
  return false;
}

Tensor read_npy(const std::string& path) {
  File file = open_file(path);
  if (!file) fail(path, std::strerror(errno));
  const std::uint64_t file_bytes = file_size(file.get());
  const Header header = read_header(path, file.get(), file_bytes);
  const std::size_t bytes = byte_count(path, header);
  if (bytes > file_bytes) {  // before allocating what a damaged header asks for
    fail(path, "truncated .npy file: its shape needs " + std::to_string(bytes) + " bytes");
  }
  std::shared_ptr<char> data(new char[bytes], std::default_delete<char[]>());
  read_exactly(path, file.get(), data.get(), bytes);
  if (header.fortran && header.shape.size() > 1) data = from_fortran(data.get(), header, bytes);

  Tensor tensor;
  tensor.dtype = element_name(header.element);
  tensor.element = header.element;
  tensor.shape = header.shape;
  tensor.data = data;
  return tensor;
}

void write_npy(const Tensor& tensor, const std::string& path) {
  const char* code = nullptr;
  for (const Descr& known : kDescrs) {
    if (known.element == tensor.element) code = known.code;
  }
  if (code == nullptr || tensor.dtype != element_name(tensor.element)) {
    throw Error(kRunFailed, path + ": .npy files have no dtype " + tensor.dtype,
                "let the model return another dtype");
  }
  std::string shape = "(";
  for (std::int64_t size : tensor.shape) shape += std::to_string(size) + ", ";
  std::string header = std::string("{'descr': '") +
                       (element_size(tensor.element) == 1 ? "|" : "<") + code +
                       "', 'fortran_order': False, 'shape': " + shape + "), }";
  const std::size_t preamble = 10;
  header.append(63 - (preamble + header.size()) % 64, ' ');
  header += '\n';
  std::string start("\x93NUMPY\x01\x00", 8);
  start += static_cast<char>(header.size() & 0xff);
  start += static_cast<char>(header.size() >> 8);
  start += header;

  File file = open_file(path, true);
  if (!file) throw Error(kRunFailed, path + ": cannot be written: " + std::strerror(errno));
  const bool written =
      std::fwrite(start.data(), 1, start.size(), file.get()) == start.size() &&
      std::fwrite(tensor.data.get(), 1, tensor.bytes(), file.get()) == tensor.bytes() &&
      std::fflush(file.get()) == 0;
  if (!written) throw Error(kRunFailed, path + ": cannot be written: " + std::strerror(errno));
}

}  // namespace runner
