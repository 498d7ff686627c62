"""The only door to the machine: environment, processes, atomic changes of files, locks, and which cache to trust."""

from __future__ import annotations

from torchscript_build.system.children import (
    Child,
    Completed,
    Probes,
    Server,
    StrPath,
    beside,
    end,
    probe,
    run,
    serving,
)
from torchscript_build.system.environment import Environment, PythonTarget, default_variable, locate_starter
from torchscript_build.system.files import (
    copy_if_changed,
    date_now,
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
)
from torchscript_build.system.locks import locked, locked_if_possible
from torchscript_build.system.signals import ending_by_signals
from torchscript_build.system.trust import find_cache, locate_cache, make_private, why_foreign

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
    "remove_leftovers",
    "remove_tree",
    "run",
    "serving",
    "stamp",
    "why_foreign",
    "write_atomically",
    "write_if_changed",
    "write_json",
]
