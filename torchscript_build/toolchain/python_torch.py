"""Python's own torch, for the children that run it."""

from __future__ import annotations

from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.system import Environment


def torch_site_dirs(libtorch: LibTorch, environment: Environment) -> list[str]:
    """Where a child finds Python's torch: beside this libtorch, if it is a whole torch, else the interpreter's own."""
    beside = [libtorch.root.parent] if (libtorch.root / "__init__.py").is_file() else []
    return list(dict.fromkeys(map(str, (*beside, *environment.python.site_packages))))
