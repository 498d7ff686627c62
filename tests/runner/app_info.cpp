// What the build generates for each app; here for the tests.
#include "app_info.h"

namespace {

const BundledModel kModels[] = {
    {"linear", "models/linear.pt"},
    {"echo", "models/echo.pt"},
    {"nested", "models/nested.pt"},
    {"sum", "models/sum.pt"},
    {"raises", "models/raises.pt"},
    {"prints", "models/prints.pt"},
    {"training", "models/training.pt"},
    {"grad", "models/grad.pt"},
    {"kinds", "models/kinds.pt"},
    {"forces", "models/forces.pt"},
    {"stateful", "models/stateful.pt"},
    {"default", "models/default.pt"},
    {"process", "models/process.pt"},
    {"wants", "models/process.pt", {false, "float64", nullptr, true, 3, 2, "warn", "high"}},
    {"random", "models/random.pt"},
    {"oncuda", "models/oncuda.pt"},
};

}  // namespace

const AppInfo app_info = {"test-app",
                          "1.2.3",
                          "A program to test the runner.",
                          kModels,
                          sizeof(kModels) / sizeof(*kModels),
                          nullptr,
                          0,
                          "forward",
                          {}};
