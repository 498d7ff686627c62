// In the place of torch's own header, for sources that name neither torch::autograd nor
// functions like torch::zeros.
#pragma once
