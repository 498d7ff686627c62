// What this app is called and which models travel with it. Written by torchscript-build.
#include "app_info.h"

{% if models %}
static const BundledModel models[] = {
{% for model in models %}
    { {{- model.name }}, {{ model.path -}} },
{% endfor %}
};

{% endif %}
const AppInfo app_info = {
    {{ name }},
    {{ version }},
    "",
    {{ "models" if models else "nullptr" }},
    {{ models | length }},
    nullptr,
    0,
    {{ method }},
};
