// What the build generates for each app; here for the tests.
#include "app_info.h"

namespace {

const BundledModel kModels[] = {
    {"linear", "models/linear.pt"},
    {"nested", "models/nested.pt"},
};

}  // namespace

const AppInfo app_info = {"test-app", "1.2.3", "A program to test the runner.", kModels, 2,
                          nullptr,    0};
