"""The project that is made of the gallery: its settings, its build, and what the build printed."""

from __future__ import annotations

import json
import re
import shutil
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import clean_variables, run_python
from small_projects import write_project

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Built:
    """What one build of the whole gallery printed and left behind."""

    project: Path
    output: str
    variables: Mapping[str, str]

    @property
    def rows(self) -> dict[tuple[str, str, str], tuple[str, str]]:
        """(model, method, inputs) → (original/exported, exported/C++), from the tables."""
        found = re.findall(r"^   (\w+) +(\w+) +(example|check \d+) +(\S+) +(\S+)$", self.output, re.MULTILINE)
        return {(model, method, label): (exported, native) for model, method, label, exported, native in found}

    def file(self, pattern: str) -> Path:
        (found,) = self.project.glob(f"build/torchscript/*/{pattern}")
        return found


def settings(entries: list[Any]) -> str:
    """pyproject.toml's tables for all entries."""
    lines = []
    for entry in entries:
        name = f"{entry.__module__}:{entry.__name__}"
        lines += ["[[tool.torchscript-build.model]]", f'name = "{entry.__name__}"', f'factory = "{name}.make"']
        lines.append(f'method = "{entry.method}"')
        if entry.method == "trace":
            lines.append(f'example-inputs = ["{name}.example"]')
        wanted = f'"{name}.sets"'
        lines.append(f"check-inputs = {{ {entry.calls} = {wanted} }}" if entry.calls else f"check-inputs = {wanted}")
        lines += [f"{key} = {json.dumps(value)}" for key, value in entry.settings.items()]
    for app in dict.fromkeys(entry.app for entry in entries):
        models = [entry.__name__ for entry in entries if entry.app == app]
        lines += ["[[tool.torchscript-build.app]]", f'name = "{app}"', f"models = {json.dumps(models)}"]
        lines.append("verify = true")
    return "\n".join(lines) + "\n"


FILES = """\
[[tool.torchscript-build.model]]
name = "format_{0}"
file = "format_{0}.pt"
example-inputs = {1}

[[tool.torchscript-build.app]]
name = "app_{0}"
models = ["format_{0}"]
verify = true
"""
OLD_FORMATS = (1, 2)
"""Files that torch 1.4 and 1.5 wrote; see old/save.cpp."""
UNUSED_FORMATS = (6, 7)
"""What libtorch reads and no torch.jit.save ever wrote: 6 is that of torch.package, and 7 had no operator of its own
(caffe2/serialize/versions.h)."""
OTHER_FORMATS = (*OLD_FORMATS, *UNUSED_FORMATS)


def save_as(version: int, file: Path) -> None:
    """A model in a file format that nobody wrote: only the record of the version differs."""
    if version in OLD_FORMATS:
        shutil.copyfile(HERE / "old" / file.name, file)
        return
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(4, 2)).save(str(file.with_suffix(".new")))
    with zipfile.ZipFile(file.with_suffix(".new")) as new, zipfile.ZipFile(file, "w") as old:
        for name in new.namelist():
            if not name.endswith("/version"):
                old.writestr(name, new.read(name))
        root = new.namelist()[0].partition("/")[0]
        old.writestr(f"{root}/.data/version" if version >= 6 else f"{root}/version", f"{version}\n")


def entries() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        from gallery import behaviour, networks, values  # noqa: F401 - each adds its own
    from gallery.base import ENTRIES

    return ENTRIES


def build(project: Path, variables: Mapping[str, str]) -> Built:
    done = run_python("setup.py", "build_ts_app", cwd=project, variables=variables)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return Built(project, output, variables)


def build_gallery(project: Path) -> Built:
    inputs = {version: ["ones:2x4", *(["int:5"] if version in OLD_FORMATS else [])] for version in OTHER_FORMATS}
    tables = settings(entries()) + "".join(FILES.format(version, json.dumps(inputs[version])) for version in inputs)
    write_project(project, tables)
    for version in OTHER_FORMATS:
        save_as(version, project / f"format_{version}.pt")
    shutil.copytree(HERE / "gallery", project / "gallery", ignore=shutil.ignore_patterns("__pycache__"))
    return build(project, clean_variables())
