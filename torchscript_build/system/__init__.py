"""The only door to the machine: environment, processes, atomic changes of files, locks, and which cache to trust.

Its parts are imported when something of them is first used: finding libtorch needs one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchscript_build.system.children import (
        Child,
        Completed,
        Probes,
        Server,
        beside,
        end,
        probe,
        run,
        serving,
    )
    from torchscript_build.system.environment import (
        Environment,
        PythonTarget,
        StrPath,
        default_variable,
        locate_starter,
    )
    from torchscript_build.system.files import (
        copy_if_changed,
        date_now,
        is_endless,
        link_if_changed,
        materialize,
        normalize_modes,
        parse_json,
        read_json,
        remove_leftovers,
        remove_tree,
        stamp,
        write_atomically,
        write_if_changed,
        write_json,
        write_report,
    )
    from torchscript_build.system.locks import locked, locked_if_possible
    from torchscript_build.system.signals import ending_by_signals
    from torchscript_build.system.trust import find_cache, locate_cache, make_private, read_own, why_foreign

__all__ = [
    "Child",
    "Completed",
    "Environment",
    "Probes",
    "PythonTarget",
    "Server",
    "StrPath",
    "beside",
    "copy_if_changed",
    "date_now",
    "default_variable",
    "end",
    "ending_by_signals",
    "find_cache",
    "is_endless",
    "link_if_changed",
    "locate_cache",
    "locate_starter",
    "locked",
    "locked_if_possible",
    "make_private",
    "materialize",
    "normalize_modes",
    "parse_json",
    "probe",
    "read_json",
    "read_own",
    "remove_leftovers",
    "remove_tree",
    "run",
    "serving",
    "stamp",
    "why_foreign",
    "write_atomically",
    "write_if_changed",
    "write_json",
    "write_report",
]

_PARTS = {
    "children": ("Child", "Completed", "Probes", "Server", "beside", "end", "probe", "run", "serving"),
    "environment": ("Environment", "PythonTarget", "StrPath", "default_variable", "locate_starter"),
    "files": (
        "copy_if_changed",
        "date_now",
        "is_endless",
        "link_if_changed",
        "materialize",
        "normalize_modes",
        "parse_json",
        "read_json",
        "remove_leftovers",
        "remove_tree",
        "stamp",
        "write_atomically",
        "write_if_changed",
        "write_json",
        "write_report",
    ),
    "locks": ("locked", "locked_if_possible"),
    "signals": ("ending_by_signals",),
    "trust": ("find_cache", "locate_cache", "make_private", "read_own", "why_foreign"),
}
_HOMES = {name: part for part, names in _PARTS.items() for name in names}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
