#pragma once
#include <vector>

/// Values moved towards zero by `by`; those that would pass it become zero.
std::vector<double> shrink(const std::vector<double>& values, double by);
