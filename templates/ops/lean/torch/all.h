// In the place of torch's own header, as torch.h beside it.
#pragma once

#include <torch/torch.h>
