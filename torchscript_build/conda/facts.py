"""A project's settings → what its conda recipe says; pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from torchscript_build.conda.about import About, read_about
from torchscript_build.conda.dependencies import Line, backend_lines, conda_range, run_lines
from torchscript_build.conda.forge import CPU_VARIANT, CUDA_FLAG, CUDA_VARIANTS, Variant, normalized_name
from torchscript_build.conda.selectors import CPU, CROSS, CUDA, LINUX, NOT_LINUX, UNIX, Selector, excluded_pythons
from torchscript_build.errors import SettingsError
from torchscript_build.plan.decide import program_scripts
from torchscript_build.plan.prefix import model_path
from torchscript_build.records import dataclass
from torchscript_build.settings.cuda_sources import needs_cuda
from torchscript_build.settings.specs import ProjectSpec, ScriptModel, TorchScriptApp

CUDA_HOST = ("cuda-cudart-dev", "libcublas-dev", "libcusparse-dev", "libcusolver-dev")
"""What libtorch's CUDA headers include."""


@dataclass(frozen=True)
class BuiltVariant:
    """One build of the package, and the selector under which it is made; empty for always."""

    variant: Variant
    only: str


@dataclass(frozen=True)
class RecipeFacts:
    """What the templates print."""

    name: str
    version: str
    version_is_literal: bool
    """Is pyproject's version one that conda cannot read as it stands?"""
    about: About
    root: str
    """From the recipe to the project."""
    python: bool
    """Is it a Python package? Else programs and libraries go into the prefix, and no Python is needed at run time."""
    bundle: str
    """Where in the prefix a bundle with libtorch lies, ``opt/NAME``; empty where libtorch is another package."""
    exports: bool
    """Will packages that are built with it need it, too, for its C library?"""
    torch_name: str
    """``pytorch`` for a Python package, ``libtorch`` without Python."""
    skip: tuple[Selector, ...]
    """Under which no package is built: CPUs where CUDA is wanted, Pythons that ``requires-python`` leaves out."""
    build: tuple[Line, ...]
    host: tuple[Line, ...]
    run: tuple[Line, ...]
    imports: tuple[str, ...]
    pytest: bool
    """Are the project's own tests run on the package?"""
    tests: tuple[Line, ...]
    variants: tuple[BuiltVariant, ...]
    maintainers: tuple[str, ...]
    """GitHub's names."""
    notes: tuple[str, ...]
    """What conda-forge asks for and the project does not say."""

    @property
    def cuda_variants(self) -> tuple[BuiltVariant, ...]:
        """The CUDA builds."""
        return tuple(v for v in self.variants if v.variant.cuda != CPU_VARIANT.cuda)

    @property
    def cpu_variant(self) -> bool:
        """Is there a CPU build?"""
        return len(self.cuda_variants) < len(self.variants)


def recipe_facts(
    pyproject: Mapping[str, Any],
    spec: ProjectSpec,
    *,
    root: str,
    packages: Sequence[str],
    license_files: Sequence[str],
    has_tests: bool = False,
    maintainers: Sequence[str] = (),
    bundle: bool = False,
) -> RecipeFacts:
    """Decide what the recipe says.

    :param root: from the recipe's folder to the project's, with forward slashes.
    :param packages: the project's Python packages.
    :param license_files: the files with the licence, from the project's folder.
    :param has_tests: is there a folder ``tests``?
    :param maintainers: the recipe's, by their names at GitHub.
    :param bundle: is the package to be a bundle, which needs neither Python nor a package of libtorch?
    :raises SettingsError: with everything that pyproject.toml lacks.
    """
    project = _checked(pyproject, spec, bundle=bundle)
    python = spec.is_packaged and not bundle
    name = normalized_name(project["name"]) + ("-bundle" if bundle else "")
    place = f"opt/{name}" if bundle else ""
    torch_name = "pytorch" if python else "libtorch"
    variants = _variants(spec)
    version = _conda_version(project)
    about = read_about(project, license_files)
    lines, notes = run_lines(project) if python else ([], [])
    backend, backend_notes = backend_lines(pyproject, "host" if python else "build")
    notes = [*backend_notes, *notes]
    tests = (
        *_tests(spec, project["name"], python=python, place=place),
        *([Line("python -m pytest tests")] if python and has_tests else []),
    )
    if not (python and packages) and not tests:
        notes = [*notes, "test: only you know what the CMake projects install: write commands, with `# keep`"]
    if not maintainers:
        notes = [*notes, "extra.recipe-maintainers: name them with --maintainer GITHUB-NAME"]
    return RecipeFacts(
        name=name,
        version=version,
        version_is_literal=version != project["version"],
        about=about,
        root=root,
        python=python,
        bundle=place,
        exports=bool(spec.libraries) and not python and not bundle,
        torch_name=torch_name,
        skip=(*([NOT_LINUX] if bundle else []), *_skips(project, python=python, variants=variants)),
        build=(
            *_build_lines(spec, project, [] if python else backend, with_cuda=_has_cuda(variants)),
            *([Line("patchelf")] if bundle else []),
        ),
        host=tuple(_host_lines(spec, torch_name, backend if python else [], variants=variants)),
        run=() if bundle else (*([Line("python"), *lines] if python else []), *_cuda_run_line(variants)),
        imports=tuple(packages) if python else (),
        pytest=python and has_tests,
        tests=tests,
        variants=variants,
        maintainers=tuple(maintainers),
        notes=(*about.notes, *notes),
    )


# --- what the project says -------------------------------------------------------------------------------------------


def _checked(pyproject: Mapping[str, Any], spec: ProjectSpec, *, bundle: bool) -> Mapping[str, Any]:
    project: Mapping[str, Any] = pyproject.get("project", {})
    problems = [
        f'pyproject.toml: a recipe needs project.{key}: write {key} = "{example}" into [project]'
        for key, example in (("name", "my-package"), ("version", "1.0"))
        if not isinstance(project.get(key), str)
    ]
    if not spec.is_buildable:
        problems.append(
            "pyproject.toml: there is nothing to package; add [[tool.torchscript-build.app]] or "
            "[[tool.torchscript-build.ops]]"
        )
    elif bundle and not (spec.apps or spec.libraries or spec.cmake):
        problems.append("pyproject.toml: a bundle is of programs and C libraries, and there is none of them")
    for read, what in (
        (_conda_version, project),
        (_pythons, project),
        (run_lines, project),
        (backend_lines, pyproject),
    ):
        try:
            read(what)
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    return project


def _conda_version(project: Mapping[str, Any]) -> str:
    """The version as setuptools writes it into the wheel; conda reads no hyphens.

    :raises SettingsError: it is none.
    """
    from packaging.version import InvalidVersion, Version

    text = project.get("version", "")
    if not isinstance(text, str) or not text:
        return ""
    try:
        normal = str(Version(text))
    except InvalidVersion:
        raise SettingsError([f'pyproject.toml: project.version: "{text}" is no version; write "1.0", say']) from None
    return text if re.fullmatch(r"[\w.+!]+", text) else normal


def _pythons(project: Mapping[str, Any]) -> Any:
    """``requires-python`` as a set of specifiers.

    :raises SettingsError: it is none.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    text = project.get("requires-python") or ">=3.9"
    try:
        return SpecifierSet(text)
    except (InvalidSpecifier, TypeError, AttributeError):
        raise SettingsError(
            [f'pyproject.toml: project.requires-python: "{text}" is no range of versions; write one like ">=3.9"']
        ) from None


def _version_bounds(version: Optional[str]) -> str:
    """The settings' range of torch releases as conda writes it, with a space before; empty for any."""
    if not version:
        return ""
    return f" {version}.*" if re.fullmatch(r"\d+(\.\d+)*", version) else " " + version.replace(" ", "")


# --- requirements ----------------------------------------------------------------------------------------------------


def _build_lines(
    spec: ProjectSpec, project: Mapping[str, Any], backend: Sequence[Line], *, with_cuda: bool
) -> Iterator[Line]:
    """The tools: they run on the build machine. The back end is one of them where no Python is in the package."""
    yield Line('{{ compiler("cxx") }}')
    yield Line('{{ stdlib("c") }}')
    if with_cuda and _has_cuda_sources(spec):
        yield Line('{{ compiler("cuda") }}', CUDA)
    yield Line("cmake >=3.18")
    yield Line("ninja")
    if not backend:  # built for another platform, Python and what it imports run here
        yield Line("python", CROSS)
        yield Line("cross-python_{{ target_platform }}", CROSS)
        if _needs_python_torch(spec):
            yield Line(f"pytorch{_version_bounds(spec.options.libtorch_version)}", CROSS)
        return
    yield Line(f"python {conda_range(_pythons(project))}".strip())
    yield from backend
    if _needs_python_torch(spec):
        yield Line(f"pytorch{_version_bounds(spec.options.libtorch_version)}")


def _host_lines(
    spec: ProjectSpec, torch_name: str, backend: Sequence[Line], *, variants: Sequence[BuiltVariant]
) -> Iterator[Line]:
    """What the package is built against, and for a Python package what builds it."""
    if backend:
        yield from (Line("python"), Line("pip"), *backend)
    # with the range of the settings, or else with the release that the channel's pinning names
    yield Line(f"{torch_name}{_version_bounds(spec.options.libtorch_version)}")
    yield Line(torch_name + " * {{ proc }}*")
    if _has_cuda(variants):
        yield Line("cuda-version =={{ cuda_compiler_version }}", CUDA)
        if _has_cuda_sources(spec):
            yield from (Line(name, CUDA) for name in CUDA_HOST)
        if any(t.cudnn for t in (*spec.ops, *spec.apps)):
            yield Line("cudnn", CUDA)


def _cuda_run_line(variants: Sequence[BuiltVariant]) -> Iterator[Line]:
    """A CUDA build runs with the CUDA of its name, also where it links nothing of CUDA itself."""
    if _has_cuda(variants):
        yield Line(
            '{{ pin_compatible("cuda-version", max_pin="x") }}',
            CUDA,
            v1='${{ pin_compatible("cuda-version", upper_bound="x") }}',
        )


def _variants(spec: ProjectSpec) -> tuple[BuiltVariant, ...]:
    """The builds by the setting ``cuda``: the first one always, the others where conda-forge has CUDA."""
    wanted = spec.options.cuda
    if wanted in (False, "none", "cpu"):
        return (BuiltVariant(CPU_VARIANT, ""),)
    fitting = [v for v in CUDA_VARIANTS if wanted in (None, True, "any") or f"{v.cuda}.".startswith(f"{wanted}.")]
    if not fitting:
        known = ", ".join(v.cuda for v in CUDA_VARIANTS)
        raise SettingsError(
            [f'cuda = "{wanted}": conda-forge builds for CUDA {known}; set cuda to one of their series']
        )
    first, *others = [CPU_VARIANT, *fitting] if wanted is None else fitting
    return (
        BuiltVariant(first, "" if first is CPU_VARIANT else "linux"),
        *(BuiltVariant(variant, CUDA_FLAG) for variant in others),
    )


def _skips(project: Mapping[str, Any], *, python: bool, variants: Sequence[BuiltVariant]) -> Iterator[Selector]:
    if all(v.variant is not CPU_VARIANT for v in variants):  # a pinning may have one
        yield CPU
    if python:
        for selector in excluded_pythons(_pythons(project)):
            yield Selector(selector.v0, f"python is defined and {selector.v1}")


def _has_cuda(variants: Sequence[BuiltVariant]) -> bool:
    return any(v.variant is not CPU_VARIANT for v in variants)


def _has_cuda_sources(spec: ProjectSpec) -> bool:
    return any(map(needs_cuda, spec.ops)) or any(map(needs_cuda, spec.apps))


def _needs_python_torch(spec: ProjectSpec) -> bool:
    """Does the build run torch: to export a model, or to compare with Python?"""
    return (
        any(m.factory for m in spec.models) or any(a.verify for a in spec.apps) or any(c.verify for c in spec.libraries)
    )


# --- tests -----------------------------------------------------------------------------------------------------------


def _tests(spec: ProjectSpec, project: str, *, python: bool, place: str) -> Iterator[Line]:
    """Commands that run what was built.

    :param place: where in the prefix it lies: a folder for a bundle, empty for the prefix itself.
    """
    home = posixpath.join("$PREFIX", place) if place else "$PREFIX"
    if python:
        yield Line("python -m pip check")
    models = {m.name: m for m in spec.models}
    for app in spec.packaged_apps if python else spec.apps:
        script = app.name if app.console_script is True or not python else app.console_script
        if not script:
            continue
        if app.sources or app.template != "runner":
            yield Line(f'test -x "$PREFIX/bin/{script}"', UNIX)
            continue
        yield Line(f"{script} --version")
        yield from _runs(app, str(script), models)
    for existing in spec.packaged_cmake:
        for command, program in program_scripts(existing).items():
            yield Line(f'test -x "{f"{home}/{program}" if place else f"$PREFIX/bin/{command}"}"', UNIX)
    if not python:
        for name in sorted({*(m for a in spec.apps for m in a.models), *(m for c in spec.libraries for m in c.models)}):
            yield Line(f'test -f "{home}/{model_path(project, models[name].file_name)}"', UNIX)
        for ops in spec.ops:
            yield Line(f'test -f "{home}/{posixpath.join("lib", ops.file_name or f"lib{ops.name}.so")}"', LINUX)
        for library in spec.libraries:
            yield Line(f'test -f "{home}/include/{library.name}.h"', UNIX)
            yield Line(f'test -f "{home}/lib/lib{library.name}.so"', LINUX)


def _runs(app: TorchScriptApp, script: str, models: Mapping[str, ScriptModel]) -> Iterator[Line]:
    """The program on its first model's example inputs, where these are written in words."""
    inputs = models[app.models[0]].example_inputs if app.models else ()
    in_words = [i for i in inputs if re.fullmatch(r"[a-z]+\d*(:[\w.+-]+)+", i) and not i.endswith((".npy", ".pt"))]
    if inputs and len(in_words) == len(inputs):
        method = [] if app.method == "forward" else ["--method", app.method]
        yield Line(" ".join([script, *method, *(f"--input {i}" for i in inputs)]))
