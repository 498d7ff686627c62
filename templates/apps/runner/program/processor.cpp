#include "program/processor.h"

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#ifdef _MSC_VER
#include <immintrin.h>
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

namespace runner {

#if defined(__x86_64__) || defined(_M_X64)

namespace {

struct Registers {
  std::uint32_t values[4];  // eax, ebx, ecx, edx
};

Registers ask(std::uint32_t leaf, std::uint32_t subleaf) {
  Registers found = {};
#ifdef _MSC_VER
  int values[4];
  __cpuidex(values, static_cast<int>(leaf & 0x80000000U), 0);
  if (static_cast<std::uint32_t>(values[0]) < leaf) return found;
  __cpuidex(values, static_cast<int>(leaf), static_cast<int>(subleaf));
  for (int i = 0; i < 4; ++i) found.values[i] = static_cast<std::uint32_t>(values[i]);
#else
  __get_cpuid_count(leaf, subleaf, &found.values[0], &found.values[1], &found.values[2],
                    &found.values[3]);
#endif
  return found;
}

// Which registers the system saves: XCR0.
std::uint64_t saved_state() {
  if ((ask(1, 0).values[2] >> 27 & 1) == 0) return 0;  // no XGETBV
#ifdef _MSC_VER
  return _xgetbv(0);
#else
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<std::uint64_t>(high) << 32 | low;
#endif
}

struct Extension {
  const char* name;
  std::uint32_t leaf;
  std::uint32_t subleaf;
  int which;  // of the registers
  int bit;
  std::uint64_t state;  // what the system must save for it
};

const std::uint64_t kNoState = 0;
const std::uint64_t kAvx = 0x6;
const std::uint64_t kAvx512 = 0xe6;
const std::uint64_t kAmx = 0x60000;

// Intel's manual, volume 2, CPUID; those that compilers use by themselves.
constexpr Extension kKnown[] = {
    {"sse3", 1, 0, 2, 0, kNoState},
    {"pclmul", 1, 0, 2, 1, kNoState},
    {"ssse3", 1, 0, 2, 9, kNoState},
    {"fma", 1, 0, 2, 12, kAvx},
    {"sse4.1", 1, 0, 2, 19, kNoState},
    {"sse4.2", 1, 0, 2, 20, kNoState},
    {"movbe", 1, 0, 2, 22, kNoState},
    {"popcnt", 1, 0, 2, 23, kNoState},
    {"aes", 1, 0, 2, 25, kNoState},
    {"avx", 1, 0, 2, 28, kAvx},
    {"f16c", 1, 0, 2, 29, kAvx},
    {"bmi", 7, 0, 1, 3, kNoState},
    {"avx2", 7, 0, 1, 5, kAvx},
    {"bmi2", 7, 0, 1, 8, kNoState},
    {"avx512f", 7, 0, 1, 16, kAvx512},
    {"avx512dq", 7, 0, 1, 17, kAvx512},
    {"adx", 7, 0, 1, 19, kNoState},
    {"avx512ifma", 7, 0, 1, 21, kAvx512},
    {"avx512cd", 7, 0, 1, 28, kAvx512},
    {"sha", 7, 0, 1, 29, kNoState},
    {"avx512bw", 7, 0, 1, 30, kAvx512},
    {"avx512vl", 7, 0, 1, 31, kAvx512},
    {"avx512vbmi", 7, 0, 2, 1, kAvx512},
    {"avx512vbmi2", 7, 0, 2, 6, kAvx512},
    {"gfni", 7, 0, 2, 8, kNoState},
    {"vaes", 7, 0, 2, 9, kAvx},
    {"vpclmulqdq", 7, 0, 2, 10, kAvx},
    {"avx512vnni", 7, 0, 2, 11, kAvx512},
    {"avx512bitalg", 7, 0, 2, 12, kAvx512},
    {"avx512vpopcntdq", 7, 0, 2, 14, kAvx512},
    {"avx512vp2intersect", 7, 0, 3, 8, kAvx512},
    {"amx-bf16", 7, 0, 3, 22, kAmx},
    {"avx512fp16", 7, 0, 3, 23, kAvx512},
    {"amx-tile", 7, 0, 3, 24, kAmx},
    {"amx-int8", 7, 0, 3, 25, kAmx},
    {"avxvnni", 7, 1, 0, 4, kAvx},
    {"avx512bf16", 7, 1, 0, 5, kAvx512},
    {"amx-fp16", 7, 1, 0, 21, kAmx},
    {"avxifma", 7, 1, 0, 23, kAvx},
    {"avxvnniint8", 7, 1, 3, 4, kAvx},
    {"avxneconvert", 7, 1, 3, 5, kAvx},
    {"lzcnt", 0x80000001U, 0, 2, 5, kNoState},
    {"sse4a", 0x80000001U, 0, 2, 6, kNoState},
    {"xop", 0x80000001U, 0, 2, 11, kAvx},
    {"fma4", 0x80000001U, 0, 2, 16, kAvx},
    {"tbm", 0x80000001U, 0, 2, 21, kNoState},
};

}  // namespace

const char* machine_name() { return "x86_64"; }

std::vector<std::string> missing_extensions(const std::vector<std::string>& wanted) {
  std::vector<std::string> missing;
  const std::uint64_t saved = saved_state();
  for (const std::string& name : wanted) {
    for (const Extension& one : kKnown) {
      if (name != one.name) continue;
      const std::uint32_t bits = ask(one.leaf, one.subleaf).values[one.which];
      const bool is_there = (bits >> one.bit & 1) != 0 && (saved & one.state) == one.state;
      if (!is_there) missing.push_back(name);
    }
  }
  return missing;
}

#else

const char* machine_name() {
#if defined(__aarch64__) || defined(_M_ARM64)
  return "aarch64";
#else
  return "";
#endif
}

std::vector<std::string> missing_extensions(const std::vector<std::string>&) { return {}; }

#endif

}  // namespace runner
