#include "files/inflate.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace runner {
namespace {

const int kLongestCode = 15;

// RFC 1951, 3.2.5: the least length or distance of a symbol, and how many bits are added to it.
const int kLengths[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                        31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
const int kLengthBits[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                           2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
const int kDistances[] = {1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                          33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                          1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
const int kDistanceBits[] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                             6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};
const int kOrder[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

struct Damaged {};

// Codes of one length follow each other, and those of the next length follow these (3.2.2).
struct Code {
  std::vector<int> counts = std::vector<int>(kLongestCode + 1);
  std::vector<int> symbols;

  explicit Code(const std::vector<int>& lengths) {
    for (int length : lengths) ++counts[static_cast<std::size_t>(length)];
    counts[0] = 0;
    for (int length = 1; length <= kLongestCode; ++length) {
      for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
        if (lengths[symbol] == length) symbols.push_back(static_cast<int>(symbol));
      }
    }
  }
};

class Inflater {
 public:
  Inflater(const std::string& packed, std::size_t most) : packed_(packed), most_(most) {}

  std::string run() {
    try {
      for (bool last = false; !last && out_.size() < most_;) {
        last = bits(1) == 1;
        const int kind = bits(2);
        if (kind == 3) throw Damaged();
        if (kind == 0) {
          read_stored();
        } else {
          read_block(kind == 2);
        }
      }
    } catch (const Damaged&) {  // what has been read so far is what anybody else gets
    }
    return std::move(out_);
  }

 private:
  int bits(int count) {
    int value = 0;
    for (int i = 0; i < count; ++i, ++at_) {
      const std::size_t byte = at_ / 8;
      if (byte >= packed_.size()) throw Damaged();
      value |= (static_cast<unsigned char>(packed_[byte]) >> (at_ % 8) & 1) << i;
    }
    return value;
  }

  int symbol(const Code& code) {
    int value = 0;
    int first = 0;
    int index = 0;
    for (int length = 1; length <= kLongestCode; ++length) {
      value |= bits(1);
      const int count = code.counts[static_cast<std::size_t>(length)];
      if (value - count < first) {
        return code.symbols.at(static_cast<std::size_t>(index + value - first));
      }
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    throw Damaged();
  }

  void read_stored() {
    at_ = (at_ + 7) / 8 * 8;
    const int size = bits(16);
    if (bits(16) != (size ^ 0xffff)) throw Damaged();
    const std::size_t byte = at_ / 8;
    const std::size_t count = std::min(static_cast<std::size_t>(size), packed_.size() - byte);
    out_.append(packed_, byte, count);
    at_ += 8 * count;
  }

  void read_block(bool with_codes) {
    std::vector<int> lengths(288, 8);
    std::vector<int> distances(30, 5);
    if (with_codes) {
      read_codes(&lengths, &distances);
    } else {
      std::fill(lengths.begin() + 144, lengths.begin() + 256, 9);
      std::fill(lengths.begin() + 256, lengths.begin() + 280, 7);
    }
    const Code length_code(lengths);
    const Code distance_code(distances);
    while (out_.size() < most_) {
      const int literal = symbol(length_code);
      if (literal == 256) return;
      if (literal < 256) {
        out_.push_back(static_cast<char>(literal));
      } else {
        copy(literal - 257, distance_code);
      }
    }
  }

  void read_codes(std::vector<int>* lengths, std::vector<int>* distances) {
    const std::size_t literals = static_cast<std::size_t>(bits(5)) + 257;
    const std::size_t others = static_cast<std::size_t>(bits(5)) + 1;
    const std::size_t count = static_cast<std::size_t>(bits(4)) + 4;
    if (literals > 286 || others > 30) throw Damaged();
    std::vector<int> first(19);
    for (std::size_t i = 0; i < count; ++i) first[static_cast<std::size_t>(kOrder[i])] = bits(3);
    const Code code(first);
    std::vector<int> all;
    while (all.size() < literals + others) {
      const int next = symbol(code);
      int repeated = next;
      int times = 1;
      if (next == 16) {
        if (all.empty()) throw Damaged();
        repeated = all.back();
        times = 3 + bits(2);
      } else if (next > 16) {
        repeated = 0;
        times = next == 17 ? 3 + bits(3) : 11 + bits(7);
      }
      all.insert(all.end(), static_cast<std::size_t>(times), repeated);
    }
    if (all.size() > literals + others) throw Damaged();
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(literals);
    lengths->assign(all.begin(), middle);
    distances->assign(middle, all.end());
  }

  void copy(int index, const Code& distance_code) {
    if (index > 28) throw Damaged();
    const int length = kLengths[index] + bits(kLengthBits[index]);
    const int far = symbol(distance_code);
    if (far > 29) throw Damaged();
    const std::size_t distance = static_cast<std::size_t>(kDistances[far]) +
                                 static_cast<std::size_t>(bits(kDistanceBits[far]));
    if (distance > out_.size()) throw Damaged();
    for (int i = 0; i < length; ++i) out_.push_back(out_[out_.size() - distance]);
  }

  const std::string& packed_;
  const std::size_t most_;
  std::size_t at_ = 0;  // in bits
  std::string out_;
};

}  // namespace

std::string inflate(const std::string& packed, std::size_t most) {
  return Inflater(packed, most).run();
}

}  // namespace runner
