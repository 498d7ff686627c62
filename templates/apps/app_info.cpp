// What this app is called and which models travel with it. Written by torchscript-build.
#include "app_info.h"

namespace {
{% if models %}
const BundledModel models[] = {
{% for model in models %}
    { {{- model.name }}, {{ model.path -}} },
{% endfor %}
};
{% endif %}
}  // namespace

const AppInfo app_info = { {{- name }}, {{ version }}, {{ "models" if models else "nullptr" }}, {{ models | length -}} };
