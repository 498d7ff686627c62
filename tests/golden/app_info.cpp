// What this app is called and which models travel with it. Written by torchscript-build.
#include "app_info.h"

static const BundledModel models[] = {
    {"net", "../models/net.pt"},
};

const AppInfo app_info = {
    "runner-app",
    "1.5",
    "",
    models,
    1,
    nullptr,
    0,
    "scale",
    false,
    nullptr,
    nullptr,
};
