// In the place of torch's own header, for sources that do not name at::native; with what others
// take from there.
#pragma once

#include <ATen/TensorIterator.h>
