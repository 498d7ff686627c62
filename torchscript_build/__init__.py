"""Builds C++ apps and operator libraries for TorchScript models as part of a Python or conda package."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torchscript_build.errors import TorchScriptBuildError
    from torchscript_build.libtorch import LibTorch, find_libtorch
    from torchscript_build.settings.specs import CLibrary, CMakeProject, OpLibrary, ScriptModel, TorchScriptApp

    __version__: str

__all__ = [
    "CLibrary",
    "CMakeProject",
    "LibTorch",
    "OpLibrary",
    "ScriptModel",
    "TorchScriptApp",
    "TorchScriptBuildError",
    "__version__",
    "find_libtorch",
]

_HOMES = {
    "CLibrary": "torchscript_build.settings.specs",
    "CMakeProject": "torchscript_build.settings.specs",
    "OpLibrary": "torchscript_build.settings.specs",
    "LibTorch": "torchscript_build.libtorch",
    "ScriptModel": "torchscript_build.settings.specs",
    "TorchScriptApp": "torchscript_build.settings.specs",
    "TorchScriptBuildError": "torchscript_build.errors",
    "find_libtorch": "torchscript_build.libtorch",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used: this package is imported in everybody's builds."""
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("torchscript-build")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
