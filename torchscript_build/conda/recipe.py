"""A project's settings → its conda recipe, and where a recipe on disk differs from that; pure but for reading files."""

from __future__ import annotations

import difflib
import functools
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from torchscript_build.errors import SettingsError
from torchscript_build.generate.templates import FileSet, templates_dir
from torchscript_build.plan.prefix import model_path
from torchscript_build.settings.specs import ProjectSpec, ScriptModel, TorchScriptApp, is_cuda_source

if TYPE_CHECKING:
    from jinja2 import Environment as JinjaEnvironment

CONDA_NAMES: Mapping[str, str] = {
    "build": "python-build",
    "msgpack": "msgpack-python",
    "opencv-python": "py-opencv",
    "opencv-python-headless": "py-opencv",
    "tables": "pytables",
    "torch": "pytorch",
    "typing-extensions": "typing_extensions",
}
"""Python packages that have another name at conda-forge."""

CUDA_VARIANTS = (("12.9", "2.17"), ("13.0", "2.28"))
"""conda-forge's CUDA compilers on linux-64, and the glibc that each wants."""
CUDA_FLAG = 'linux and os.environ.get("CF_CUDA_ENABLED", "False") == "True"'
CUDA_HOST = ("cuda-version {{ cuda_compiler_version }}", "cuda-cudart-dev", "libcublas-dev", "libcusparse-dev")
"""What libtorch's CUDA headers include."""
KEEP = "# keep"


@dataclass(frozen=True)
class Command:
    """One command of the recipe's tests."""

    text: str
    only: Optional[str] = None
    """The platform that it is for."""

    @property
    def is_pip_check(self) -> bool:
        """rattler-build has its own word for it."""
        return self.text.endswith("pip check")


@dataclass(frozen=True)
class CudaVariant:
    """One CUDA build of the package."""

    version: str
    glibc: str
    only: str
    """The selector under which it is built."""


@dataclass(frozen=True)
class RecipeFacts:
    """What the templates print."""

    name: str
    version: str
    summary: str
    license: Optional[str]
    license_files: tuple[str, ...]
    root: str
    """From the recipe to the project."""
    python: bool
    """Is it a Python package? Else programs and libraries go into the prefix, and no Python is needed at run time."""
    torch_name: str
    """``pytorch`` for a Python package, ``libtorch`` without Python."""
    torch: str
    """The line in host that bounds its version, or its bare name: then the version comes from the channel's pinning."""
    build: tuple[str, ...]
    host: tuple[str, ...]
    run: tuple[str, ...]
    imports: tuple[str, ...]
    pytest: bool
    """Are the project's own tests run on the package?"""
    tests: tuple[Command, ...]
    cpu_variant: bool
    cuda_variants: tuple[CudaVariant, ...]
    cuda_sources: bool
    cuda_host: tuple[str, ...]


def recipe_facts(
    pyproject: Mapping[str, Any],
    spec: ProjectSpec,
    *,
    root: str,
    packages: Sequence[str],
    license_files: Sequence[str],
    has_tests: bool = False,
) -> RecipeFacts:
    """Decide what the recipe says.

    :param root: from the recipe's folder to the project's, with forward slashes.
    :param packages: the project's Python packages.
    :param has_tests: is there a folder ``tests``?
    :raises SettingsError: with everything that pyproject.toml lacks.
    """
    project = _checked(pyproject, spec)
    python = spec.is_packaged
    cuda_sources = any(is_cuda_source(s) for t in (*spec.ops, *spec.apps) for s in t.sources)
    cudnn = any(t.cudnn for t in (*spec.ops, *spec.apps))
    cpu_variant, cuda_variants = _variants(spec)
    minimum = _python_line(project)
    tools = ["setuptools", "torchscript-build"]
    torch_name = "pytorch" if python else "libtorch"
    bounds = _version_bounds(spec.options.libtorch_version)
    exporting = [] if python or not _needs_python_torch(spec) else [f"pytorch{bounds}"]
    return RecipeFacts(
        name=_normalized(project["name"]),
        version=project["version"],
        summary=json.dumps(project.get("description") or project["name"], ensure_ascii=False),
        license=_license(project),
        license_files=tuple(license_files),
        root=root,
        python=python,
        torch_name=torch_name,
        torch=f"{torch_name}{bounds}",
        build=("cmake >=3.18", "ninja", *([] if python else [minimum, *tools, *exporting])),
        host=("python", "pip", *tools) if python else (),
        run=("python", *_run_lines(project)) if python else (),
        imports=tuple(packages) if python else (),
        pytest=python and has_tests,
        tests=(
            *_tests(spec, project["name"], python=python),
            *([Command("python -m pytest tests")] if python and has_tests else []),
        ),
        cpu_variant=cpu_variant,
        cuda_variants=cuda_variants,
        cuda_sources=cuda_sources,
        cuda_host=(*(CUDA_HOST if cuda_sources else ()), *(["cudnn"] if cudnn else [])),
    )


def render_recipe(facts: RecipeFacts, *, v1: bool = False) -> FileSet:
    """The recipe's files: ``meta.yaml`` or ``recipe.yaml``, ``build.sh``, ``bld.bat``, ``conda_build_config.yaml``."""
    values = {name: getattr(facts, name) for name in facts.__dataclass_fields__}
    if v1:  # its expressions are written with a dollar
        values["cuda_host"] = [line.replace("{{", "${{") for line in facts.cuda_host]
    names = ("recipe.yaml" if v1 else "meta.yaml", "build.sh", "bld.bat", "conda_build_config.yaml")
    return {name: _jinja().get_template(name).render(values).encode() for name in names}


def find_drift(files: FileSet, folder: Path) -> list[str]:
    """Where the recipe in a folder differs from what the project says, one line of words each.

    Lines of the recipe that end in ``# keep`` may be there, also in place of others.
    """
    words: list[str] = []
    for name, content in files.items():
        try:
            have = (folder / name).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            words.append(f"{name}: is missing")
            continue
        except (OSError, UnicodeDecodeError) as error:
            words.append(f"{name}: cannot be read: {error}")
            continue
        words += _differences(name, have, content.decode().splitlines())
    return words


def _differences(name: str, have: Sequence[str], want: Sequence[str]) -> Iterator[str]:
    for what, start, end, first, last in difflib.SequenceMatcher(None, have, want, autojunk=False).get_opcodes():
        kept = any(line.rstrip().endswith(KEEP) for line in have[start:end])
        if what == "equal" or (kept and what != "insert"):
            continue
        for line in want[first:last]:
            yield f"{name}:{start + 1}: the project wants `{line.strip()}`"
        for number, line in enumerate(have[start:end], start + 1):
            yield f"{name}:{number}: has `{line.strip()}`, of which the project knows nothing"


# --- what the project says -------------------------------------------------------------------------------------------


def _checked(pyproject: Mapping[str, Any], spec: ProjectSpec) -> Mapping[str, Any]:
    project: Mapping[str, Any] = pyproject.get("project", {})
    problems = [
        f'pyproject.toml: a recipe needs project.{key}: write {key} = "{example}" into [project]'
        for key, example in (("name", "my-package"), ("version", "1.0"))
        if not isinstance(project.get(key), str)
    ]
    if not (spec.ops or spec.apps or spec.cmake):
        problems.append(
            "pyproject.toml: there is nothing to package; add [[tool.torchscript-build.app]] or "
            "[[tool.torchscript-build.ops]]"
        )
    if problems:
        raise SettingsError(problems)
    return project


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def conda_name(name: str) -> str:
    """A Python package's name at conda-forge."""
    return CONDA_NAMES.get(_normalized(name), _normalized(name))


def _license(project: Mapping[str, Any]) -> Optional[str]:
    license_ = project.get("license")
    text = license_.get("text") if isinstance(license_, Mapping) else license_
    return text if isinstance(text, str) else None


def _python_line(project: Mapping[str, Any]) -> str:
    return f"python {project.get('requires-python') or '>=3.9'}".replace(", ", ",")


def _version_bounds(version: Optional[str]) -> str:
    """The settings' range of torch releases as conda writes it, with a space before; empty for any."""
    if not version:
        return ""
    return f" {version}.*" if re.fullmatch(r"\d+(\.\d+)*", version) else " " + version.replace(" ", "")


def _run_lines(project: Mapping[str, Any]) -> list[str]:
    """``dependencies`` as conda names and writes them; torch is left to its own lines."""
    from packaging.requirements import InvalidRequirement, Requirement

    lines, problems = [], []
    for text in project.get("dependencies") or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            problems.append(f"pyproject.toml: dependencies: {text!r}: {error}")
            continue
        if _normalized(requirement.name) == "torch":
            continue
        bounds = ",".join(sorted(map(str, requirement.specifier), reverse=True))
        marker = f"  # {requirement.marker}" if requirement.marker else ""
        lines.append(f"{conda_name(requirement.name)} {bounds}".strip() + marker)
    if problems:
        raise SettingsError(problems)
    return lines


def _variants(spec: ProjectSpec) -> tuple[bool, tuple[CudaVariant, ...]]:
    """Is there a CPU build, and which CUDA builds, by the setting ``cuda``?"""
    wanted = spec.options.cuda
    if wanted in (False, "none", "cpu"):
        return True, ()
    either = wanted is None
    selector = CUDA_FLAG if either else "linux"
    fitting = [
        (version, glibc)
        for version, glibc in CUDA_VARIANTS
        if wanted in (None, True, "any") or f"{version}.".startswith(f"{wanted}.")
    ]
    if not fitting:
        known = ", ".join(version for version, _ in CUDA_VARIANTS)
        raise SettingsError(
            [f'cuda = "{wanted}": conda-forge builds for CUDA {known}; set cuda to one of their series']
        )
    return either, tuple(CudaVariant(version, glibc, selector) for version, glibc in fitting)


def _needs_python_torch(spec: ProjectSpec) -> bool:
    """Does the build run torch: to export a model, or to compare with Python?"""
    return any(m.factory for m in spec.models) or any(a.verify for a in spec.apps)


def _tests(spec: ProjectSpec, project: str, *, python: bool) -> Iterator[Command]:
    """Commands that run what was built."""
    if python:
        yield Command("python -m pip check")
    models = {m.name: m for m in spec.models}
    for app in spec.packaged_apps if python else spec.apps:
        script = app.name if app.console_script is True or not python else app.console_script
        if not script:
            continue
        if app.sources or app.template != "runner":
            if not python:
                yield Command(f'test -x "$PREFIX/bin/{app.name}"', "unix")
            continue
        yield Command(f"{script} --version")
        yield from _runs(app, str(script), models)
    if not python:
        for name in sorted({m for a in spec.apps for m in a.models}):
            yield Command(f'test -f "$PREFIX/{model_path(project, name)}"', "unix")
        for ops in spec.ops:
            yield Command(f'test -f "$PREFIX/{posixpath.join("lib", ops.file_name or f"lib{ops.name}.so")}"', "linux")


def _runs(app: TorchScriptApp, script: str, models: Mapping[str, ScriptModel]) -> Iterator[Command]:
    """The program on its first model's example inputs, where these are written in words."""
    inputs = models[app.models[0]].example_inputs if app.models else ()
    in_words = [i for i in inputs if re.fullmatch(r"[a-z]+\d*(:[\w.+-]+)+", i) and not i.endswith((".npy", ".pt"))]
    if inputs and len(in_words) == len(inputs):
        method = [] if app.method == "forward" else ["--method", app.method]
        yield Command(" ".join([script, *method, *(f"--input {i}" for i in inputs)]))


@functools.cache
def _jinja() -> JinjaEnvironment:
    """Recipes are templates themselves, so ours are written with other brackets."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir() / "conda"),
        undefined=jinja2.StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
