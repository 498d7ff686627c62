"""Prints the namespaces of operators and custom classes of the torch that runs it; see models/namespaces.py.

Run as a script in an environment of the release: ``python tests/models/torch_namespaces.py``.
"""

from __future__ import annotations

import re


def own_namespaces() -> list[str]:
    """Those of the imported torch, sorted."""
    import torch

    names = {schema.name.split("::")[0] for schema in torch._C._jit_get_all_schemas()}
    classes = getattr(torch._C, "_jit_get_custom_class_schemas", list)()
    found = (re.search(r"__torch__\.torch\.classes\.(\w+)\.", str(schema)) for schema in classes)
    return sorted(names | {match[1] for match in found if match})


if __name__ == "__main__":
    print("\n".join(own_namespaces()))
