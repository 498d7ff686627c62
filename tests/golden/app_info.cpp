// What this app is called and which models travel with it. Written by torchscript-build.
#include "app_info.h"
#include "program/start.h"

static const BundledModel models[] = {
    {"net", "../models/net.pt", {false, nullptr, nullptr, false, 0, 0, nullptr, nullptr}},
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
    {false, nullptr, nullptr, false, 0, 0, nullptr, nullptr},
};
