// shrink BY VALUE…: the values, moved towards zero.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "shrink.h"

int main(int count, char** words) {
  if (count < 3) {
    std::fprintf(stderr, "usage: shrink BY VALUE...\n");
    return 2;
  }
  std::vector<double> values;
  for (int i = 2; i < count; ++i) {
    values.push_back(std::atof(words[i]));
  }
  for (double value : shrink(values, std::atof(words[1]))) {
    std::printf("%g\n", value);
  }
}
