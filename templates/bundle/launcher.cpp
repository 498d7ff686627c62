// Starts the program of the same name in libexec, if this machine's C library is new enough for it.
//
// The dynamic loader would refuse with "version `GLIBC_2.34' not found", which tells nobody what to
// do. So this program wants nothing that was not in glibc from the start, and looks first. It has
// no startup code of the compiler's, which would want the newest version itself, and neither
// includes nor initializes anything.
//
// TS_GLIBC_MAJOR, TS_GLIBC_MINOR: the lowest that will do. TS_CURES: the lines that say what to do.
#define TS_QUOTED(x) #x
#define TS_STRING(x) TS_QUOTED(x)

#if defined(__x86_64__)
__asm__(
    ".globl _start\n_start:\n"
    "  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call ts_start\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n  mov x29, #0\n  mov x30, #0\n  mov x0, sp\n  bl ts_start\n");
#endif

extern "C" {
const char* gnu_get_libc_version(void);
long readlink(const char* path, char* buffer, unsigned long size);
long write(int file, const void* bytes, unsigned long size);
int execve(const char* path, char* const arguments[], char* const variables[]);
[[noreturn]] void _exit(int code);
}

namespace {

const char* const number = TS_STRING(TS_GLIBC_MAJOR) "." TS_STRING(TS_GLIBC_MINOR);

void say(const char* text) {
  unsigned long size = 0;
  while (text[size] != '\0') ++size;
  (void)!write(2, text, size);
}

[[noreturn]] void refuse(const char* program, const char* what, const char* more) {
  say(program);
  say(": error: ");
  say(what);
  say(more);
  say("\n");
  _exit(127);
}

// Reads digits; leaves the text behind them.
int read_number(const char*& text) {
  int value = 0;
  while (*text >= '0' && *text <= '9') value = value * 10 + (*text++ - '0');
  return value;
}

bool is_new_enough(const char* version) {
  const int major = read_number(version);
  if (*version == '.') ++version;
  const int minor = read_number(version);
  return major > TS_GLIBC_MAJOR || (major == TS_GLIBC_MAJOR && minor >= TS_GLIBC_MINOR);
}

}  // namespace

// The stack as the kernel leaves it: the number of arguments, the arguments, null, the variables,
// null.
extern "C" [[noreturn]] void ts_start(char** stack) {
  const long count = reinterpret_cast<long>(stack[0]);
  char** arguments = stack + 1;
  char** variables = arguments + count + 1;

  static char path[4096 + 16];  // PATH_MAX
  const long length = readlink("/proc/self/exe", path, 4096);
  if (length <= 0)
    refuse("bundle", "/proc is not mounted, without which nothing here finds its libraries", "");
  path[length] = '\0';
  long name = length;
  while (name > 0 && path[name - 1] != '/') --name;

  const char* const version = gnu_get_libc_version();
  if (!is_new_enough(version)) {
    say(path + name);
    say(": error: this machine has glibc ");
    say(version);
    say(", and this bundle needs ");
    say(number);
    say(" or newer\n" TS_CURES);
    _exit(127);
  }

  // …/bin/NAME → …/libexec/NAME; what lies beside one lies beside the other.
  const char folder[] = "../libexec/";
  static char real[sizeof path + sizeof folder];
  long end = 0;
  for (long i = 0; i < name; ++i) real[end++] = path[i];
  for (long i = 0; folder[i] != '\0'; ++i) real[end++] = folder[i];
  for (long i = name; i <= length; ++i) real[end++] = path[i];
  execve(real, arguments, variables);
  refuse(path + name, "cannot start ", real);
}
