// In the place of torch's own header, for sources that name none of its functions: torch::zeros is
// not at::zeros.
#pragma once
