// How the process begins and ends.
#pragma once

namespace runner {

// Ends the process with what main() would return, as soon as all that was printed is out. libtorch
// would take its operators apart first, one by one, which takes a third as long as all that the
// program did.
[[noreturn]] void leave(int code);

}  // namespace runner
