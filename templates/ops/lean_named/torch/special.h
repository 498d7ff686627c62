// In the place of torch's own header, for sources that do not name torch::special.
#pragma once
