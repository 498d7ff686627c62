"""``BuildPlan`` → a CMake project that somebody else can own: with all its sources, and no path of this machine."""

from __future__ import annotations

import dataclasses
import json
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from torchscript_build.errors import SettingsError
from torchscript_build.generate.project import CMAKE_FILES, project_values, render_project
from torchscript_build.generate.quoting import cmake_quote
from torchscript_build.generate.templates import FileSet, read_static, render
from torchscript_build.plan.build_plan import BuildPlan, PlannedTarget
from torchscript_build.plan.prefix import in_prefix, model_path

HERE, TORCH, PYTHON = "@ts-here@", "@ts-torch@", "@ts-python@"
"""Stand for folders that only CMake will know, until the text is there."""

T = TypeVar("T")


def render_ejected(plan: BuildPlan) -> FileSet:
    """The project without its sources and models, which lie in ``source`` and ``models`` as they do in the project.

    :raises SettingsError: with all targets that a plain CMake project cannot have.
    """
    problems = list(_problems(plan))
    if problems:
        raise SettingsError(problems)
    # Nothing lies below this prefix, so that all RUNPATHs to libtorch are its folder's own name.
    plan = in_prefix(plan, Path("/@ts-prefix@"))
    names = {plan.source_dir: f"{HERE}/source", **{d.as_posix(): TORCH for d in plan.libtorch.library_dirs}}
    # Nobody reads the sources again there, to see what of torch they name.
    ops = [dataclasses.replace(o, headers=dataclasses.replace(o.headers, named=())) for o in plan.ops]
    plan = dataclasses.replace(
        plan,
        runner_library=None,
        python=dataclasses.replace(plan.python, include=PYTHON),
        ops=tuple(_renamed(o, names) for o in ops),
        apps=tuple(_renamed(a, names) for a in plan.apps),
    )
    files = {n: c for n, c in render_project(plan).items() if not n.startswith("cmake/")}
    values = project_values(plan)
    models = sorted({plan.model(m.name).file_name for app in plan.apps for m in app.models})
    places = [
        (cmake_quote(f"{HERE}/models/{name}"), cmake_quote(model_path(plan.project, name).rpartition("/")[0]))
        for name in models
    ]
    files["CMakeLists.txt"] = _resolved(render("eject/CMakeLists.txt", **values, models=places))
    files["CMakePresets.json"] = _portable(files["CMakePresets.json"])
    files.update({f"cmake/{name}": read_static(f"cmake/{name}") for name in CMAKE_FILES})
    files["cmake/TorchScriptBuildStock.cmake"] = read_static("eject/TorchScriptBuildStock.cmake")
    files["README.md"] = _readme(plan, with_runner=bool(values["with_runner"]), with_models=bool(models))
    return files


def _problems(plan: BuildPlan) -> list[str]:
    problems = []
    for target in plan.targets:
        paths = (*target.sources, *target.include_dirs, *target.link_dirs)
        outside = [path for path in paths if not _is_below(path, plan.source_dir)]
        problems += [f"{target.name!r}: {path} lies outside of the project" for path in outside]
        if target.with_cuda or target.cudnn:
            problems.append(
                f"{target.name!r}: CUDA sources and cuDNN are set up for this machine's toolkit, and cannot be ejected"
            )
    modules = [o.name for o in plan.ops if o.python_module]
    problems += [f"{name!r}: a Python module has no place in a plain CMake project" for name in modules]
    problems += [
        f"{app.name!r}: external-ops: a plain CMake project does not carry libraries from elsewhere"
        for app in plan.apps
        if app.external_ops
    ]
    problems += [f"{c.name!r}: a C library cannot be ejected; build it with build_ts_app" for c in plan.libraries]
    if not plan.targets:
        problems.append("there is no app and no operator library; existing CMake projects are what eject makes")
    return problems


def _is_below(path: str, folder: str) -> bool:
    return Path(folder) in Path(posixpath.normpath(path)).parents


def _renamed(target: T, names: dict[str, str]) -> T:
    """A planned target with the folders in all its paths renamed."""

    def rename(value: Any) -> Any:
        if isinstance(value, str):
            for old, new in names.items():
                if value == old or value.startswith(f"{old}/"):
                    return new + value[len(old) :]
            return value
        if isinstance(value, tuple):
            return tuple(map(rename, value))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.replace(
                value, **{f.name: rename(getattr(value, f.name)) for f in dataclasses.fields(value)}
            )
        return value

    renamed: T = rename(target)
    return renamed


def _resolved(text: bytes) -> bytes:
    variables = {HERE: b"CMAKE_CURRENT_SOURCE_DIR", TORCH: b"TORCH_LIBRARY_DIR", PYTHON: b"Python3_INCLUDE_DIRS"}
    for place, variable in variables.items():
        text = text.replace(place.encode(), b"${" + variable + b"}")
    return text


def _portable(presets: bytes) -> bytes:
    """Without the generator of this machine, which version 3 lets out (CMake 3.21)."""
    data = json.loads(presets)
    data["version"] = 3
    for preset in data["configurePresets"]:
        preset.pop("generator", None)
    return (json.dumps(data, indent=2) + "\n").encode()


def _readme(plan: BuildPlan, *, with_runner: bool, with_models: bool) -> bytes:
    contents = [*_named("operator library", "operator libraries", plan.ops), *_named("program", "programs", plan.apps)]
    third = f"build/out/bin/{plan.apps[0].name} --help" if plan.apps else "ls build/out/lib"
    return render(
        "eject/README.md.in",
        project=plan.project,
        contents=" and ".join(contents),
        version=plan.libtorch.version,
        series=plan.libtorch.series,
        third=third,
        build_type=plan.build_type,
        with_runner=with_runner,
        with_models=with_models,
    )


def _named(one: str, many: str, targets: Sequence[PlannedTarget]) -> list[str]:
    names = ", ".join(f"`{t.name}`" for t in targets)
    return [f"the {one if len(targets) == 1 else many} {names}"] if targets else []
