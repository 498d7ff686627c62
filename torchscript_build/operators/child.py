"""Runs in a child process with torch: loads operator libraries and tells which operators each of them registered.

Started as a script with the path of a JSON request; it imports nothing of torchscript-build. The report is written to
``request["report"]``. Exit code 3: a library could not be loaded, and why has been printed; 4: no fitting torch.
"""

import importlib
import importlib.machinery
import importlib.util
import json
import site
import sys
from typing import Any


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    for folder in request["site_dirs"]:
        site.addsitedir(folder)
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError as error:
        return finish(request, {"skipped": f"Python has no torch ({error})"})
    if str(torch.__version__) != request["torch"]:
        return finish(request, {"skipped": f"Python's torch is {torch.__version__}, built for {request['torch']}"})
    schemas = {}
    before = all_schemas(torch)
    dangling = dangling_implementations(torch)
    for library in request["libraries"]:
        print(f"loading {library['file']}", file=sys.stderr, flush=True)
        try:
            if library["module"]:
                import_module(library["name"], library["file"])
            else:
                torch.ops.load_library(library["file"])
        except (ImportError, OSError, RuntimeError) as error:
            print_reasons(error)
            return 3
        after = all_schemas(torch)
        schemas[library["name"]] = sorted(after - before)
        before = after
    imports = {module["file"]: try_import(module["name"], module["file"]) for module in request.get("imports", [])}
    found = sorted(dangling_implementations(torch) - dangling)
    return finish(request, {"schemas": schemas, "imports": imports, "dangling": found})


def dangling_implementations(torch: Any) -> "set[str]":
    """Names of operators that have kernels and no schema; releases that cannot tell have none."""
    find = getattr(torch._C, "_dispatch_find_dangling_impls", None)
    return {line.partition("name: ")[2].split("\n")[0].strip() for line in find()} if find else set()


def try_import(name: str, file: str) -> "str | None":
    """Import a module of somebody's project; the error in words where it fails."""
    try:
        import_module(name, file)
    except Exception as error:  # noqa: BLE001 - it is that module's own code
        return f"{type(error).__name__}: {error}"
    return None


def print_reasons(error: BaseException) -> None:
    """An error and what it came from: torch's own says only which file, the loader's says why."""
    reason: Any = error
    while reason is not None:
        print(f"{type(reason).__name__}: {reason}", file=sys.stderr)
        reason = reason.__cause__


def all_schemas(torch: Any) -> "set[str]":
    return {str(schema) for schema in torch._C._jit_get_all_schemas()}


def import_module(name: str, file: str) -> None:
    """Import an extension module from its file."""
    loader = importlib.machinery.ExtensionFileLoader(name, file)
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert spec is not None
    loader.exec_module(importlib.util.module_from_spec(spec))


def finish(request: "dict[str, Any]", report: "dict[str, Any]") -> int:
    with open(request["report"], "w", encoding="utf-8") as file:
        json.dump(report, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
