"""What must hold in a project's specs beyond their types: names, references, files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Optional, Union

from torchscript_build.settings.coerce import suggestion
from torchscript_build.settings.input_specs import input_problems
from torchscript_build.settings.specs import CLibrary, CMakeProject, OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp

TEMPLATES = ("runner", "minimal")
BUNDLE_FORMATS = ("dir", "tar", "tar.gz", "tar.zst", "deb")
WITHOUT_CUDA = ("refuse", "skip")
BINDINGS = ("loader", "none")
ABIS = ("series", "stable")
CUDA_RUNTIMES = ("shared", "static")
METHODS = ("script", "trace", "aoti")
CPUS = ("native", "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4")
SANITIZERS = ("address", "leak", "thread", "undefined")
DTYPES = ("float16", "bfloat16", "float32", "float64")
"""What ``torch.set_default_dtype`` takes."""
ENGINES = ("fbgemm", "x86", "onednn", "qnnpack")
DETERMINISTIC = ("on", "warn", "off")
PRECISIONS = ("highest", "high", "medium")
MOST_THREADS = 1024

Doubts = Mapping[str, set[str]]
"""Array → the names of entries that are there, but with mistakes of their own, which were told: nothing that follows
from them is told, too."""
ANY = ""
"""Among them: an entry whose name is not known."""

_TARGET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+\-]*\Z")
_RESERVED_NAMES = frozenset(
    (
        *("all", "all_build", "build.ninja", "clean", "cmakecache.txt", "default_cache", "edit_cache", "help"),
        *("install", "package", "package_source", "preinstall", "rebuild_cache", "run_tests", "test", "zero_check"),
        *("c10", "c10_cuda", "c10_hip", "c10_xpu", "torch", "torch_cpu", "torch_cuda", "torch_hip", "torch_library"),
        *("torch_python", "torch_xpu", "ts_runner", "ts_runner_plain"),
    )
)
"""Targets and files of CMake, Ninja and libtorch; compared without case, as some file systems do."""
_DEFINITION = re.compile(r"[A-Za-z_]\w*(\([\w\s,.]*\))?(=.*)?\Z")
_SIZE = re.compile(r"[^\W\d]\w*(?:=(\d{1,18})?\.\.(\d{1,18})?)?\Z")
_LITERAL = re.compile(r"""\"(\\.|[^\"\\])*\"|'(\\.|[^'\\])*'""")
_FIND_PACKAGE = re.compile(r"\s*[A-Za-z0-9_][\w.+:/-]*(\s[^\r\n]*)?\Z")
_PACKAGE_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")
_FUNCTION_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*\Z")


_KINDS = {OpLibrary: "operator library", TorchScriptApp: "app", CMakeProject: "CMake project", CLibrary: "C library"}


def where_of(spec: Union[OpLibrary, TorchScriptApp, CMakeProject, CLibrary]) -> str:
    return f"{_KINDS[type(spec)]} {spec.name!r}"


def check_spec(
    spec: ProjectSpec,
    root: Path,
    packages: Optional[Sequence[str]],
    problems: list[str],
    doubts: Doubts = MappingProxyType({}),
) -> None:
    """Check everything that the types alone do not tell; problems are added to the list.

    :param root: the project's folder, against which files are checked.
    :param packages: the project's Python packages; ``None`` where not known yet.
    :param doubts: entries that could not be read.
    """
    for kind, names in (
        ("models", [m.name for m in spec.models]),
        ("targets", [*(t.name for t in (*spec.ops, *spec.apps)), *(c.name for c in spec.libraries)]),
        ("CMake projects", [c.name for c in spec.cmake]),
    ):
        for name in sorted({n for n in names if names.count(n) > 1}):
            problems.append(f"two {kind} are called {name!r}")
        for name in names:
            if not _TARGET_NAME.match(name):
                problems.append(
                    f"{name!r}: a name has letters, digits and the characters _ . + - and does not begin with . + or -"
                )
            elif kind == "targets" and name.lower() in _RESERVED_NAMES:
                problems.append(f"{name!r}: CMake or libtorch already has a target of that name")
    for model in spec.models:
        _check_model(model, root, problems)
    for ops in spec.ops:
        _check_compiled(ops, root, problems)
        check_package(ops, packages, problems)
        _check_ops(ops, spec, problems, doubts)
    _check_cycles(spec.ops, problems)
    _check_scripts(spec, problems)
    if spec.bundle.format not in BUNDLE_FORMATS:
        wrong = spec.bundle.format
        problems.append(f"bundle: there is no format {wrong!r}{suggestion(wrong, BUNDLE_FORMATS)}")
    for app in spec.apps:
        _check_compiled(app, root, problems)
        check_package(app, packages, problems)
        _check_app(app, spec, root, problems, doubts)
    for project in spec.cmake:
        check_package(project, packages, problems)
        if not is_file(root / project.source_dir / "CMakeLists.txt"):
            problems.append(f"{where_of(project)}: source-dir: there is no CMakeLists.txt in {project.source_dir!r}")
        for key in ("components", "include"):
            if project.artifacts and getattr(project, key):
                problems.append(f"{where_of(project)}: give artifacts or {key}: artifacts are not what it installs")
        for program in _scripts_of(project).values():
            if program.startswith(("/", "../")) or not program:
                problems.append(f"{where_of(project)}: console-script: {program!r} is no path in its install tree")
        if project.limited_api is not None and not re.fullmatch(r"3\.\d+", project.limited_api):
            problems.append(f'{where_of(project)}: limited-api is a version like "3.9"')


def _scripts_of(project: CMakeProject) -> dict[str, str]:
    asked = project.console_script or {}
    return {asked.rpartition("/")[2]: asked} if isinstance(asked, str) else {n: str(p) for n, p in asked.items()}


def _check_scripts(spec: ProjectSpec, problems: list[str]) -> None:
    """Console scripts: their names, and that no two are the same."""
    apps = spec.packaged_apps
    names = [a.name if a.console_script is True else str(a.console_script) for a in apps if a.console_script]
    names += [name for project in spec.packaged_cmake for name in _scripts_of(project)]
    # What is wrong with a target's name is told of the target.
    targets = {a.name for a in spec.apps if not _TARGET_NAME.match(a.name)} | _repeated([a.name for a in spec.apps])
    names = [name for name in names if name not in targets]
    for name in sorted(set(names)):
        if not _TARGET_NAME.match(name):
            problems.append(f"console-script {name!r}: a script's name has letters, digits and the characters _ . + -")
    problems += [f"two programs have the console script {name!r}" for name in sorted(_repeated(names))]


def _repeated(names: Sequence[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}


def _check_model(model: ScriptModel, root: Path, problems: list[str]) -> None:
    where = f"model {model.name!r}"
    if (model.file is None) == (model.factory is None):
        problems.append(f"{where}: give either file or factory")
    if model.file is not None and not is_package_file(model.file) and not is_file(root / model.file):
        problems.append(f"{where}: there is no file {model.file!r}")
    if model.factory is not None and not _FUNCTION_NAME.match(model.factory):
        problems.append(f"{where}: factory must look like 'package.module:function', not {model.factory!r}")
    if model.method not in METHODS:
        problems.append(f"{where}: method must be one of {', '.join(METHODS)}, not {model.method!r}")
    if lacks_inputs_for_tracing(model):
        how = "tracing" if model.method == "trace" else 'method = "aoti"'
        problems.append(f"{where}: {how} needs example-inputs")
    _check_package_settings(model, where, problems)
    for key, value, allowed in (
        ("default-dtype", model.default_dtype, DTYPES),
        ("quantized-engine", model.quantized_engine, ENGINES),
        ("deterministic", model.deterministic, DETERMINISTIC),
        ("matmul-precision", model.matmul_precision, PRECISIONS),
    ):
        if value is not None and value not in allowed:
            problems.append(f"{where}: {key} must be one of {', '.join(allowed)}, not {value!r}")
    for key, count in (("threads", model.threads), ("interop-threads", model.interop_threads)):
        if count is not None and not 0 <= count <= MOST_THREADS:
            problems.append(f"{where}: {key} must be between 0 and {MOST_THREADS}, not {count}")
    problems += input_problems(model, where)
    for pattern in model.inputs:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            problems.append(f"{where}: inputs: a pattern must stay inside the project, not {pattern!r}")
    for folder in model.python_path:
        if not is_dir(root / folder):
            problems.append(f"{where}: python-path: there is no folder {folder!r}")


def _check_package_settings(model: ScriptModel, where: str, problems: list[str]) -> None:
    """What only a model with ``method = "aoti"`` has."""
    if model.cpu not in CPUS:
        problems.append(f"{where}: cpu must be one of {', '.join(CPUS)}, not {model.cpu!r}")
    for key, value in (("dynamic-shapes", model.dynamic_shapes), ("cpu", model.cpu != "native")):
        if value and model.method != "aoti":
            problems.append(f'{where}: {key} is for method = "aoti" only')
    if isinstance(model.dynamic_shapes, str):
        if model.dynamic_shapes != "auto":
            problems.append(f'{where}: dynamic-shapes is "auto" or a table, not {model.dynamic_shapes!r}')
        return
    for argument, sizes in model.dynamic_shapes.items():
        for index, text in sizes.items():
            if not re.fullmatch(r"\d{1,3}", index):
                problems.append(f"{where}: dynamic-shapes: {argument}: a dimension is a number, not {index!r}")
            found = _SIZE.match(text)
            if not found or (found[1] and found[2] and int(found[1]) > int(found[2])):
                problems.append(
                    f'{where}: dynamic-shapes: {argument}: a size is a name, "batch" or "batch=1..64", not {text!r}'
                )


def lacks_inputs_for_tracing(model: ScriptModel) -> bool:
    return model.factory is not None and model.method in ("trace", "aoti") and not model.example_inputs


def _check_compiled(spec: Union[OpLibrary, TorchScriptApp], root: Path, problems: list[str]) -> None:
    for key in ("sources", "cuda_sources"):
        for name in getattr(spec, key):
            if not is_file(root / name):
                problems.append(f"{where_of(spec)}: {key.replace('_', '-')}: there is no file {name!r}")
    for key in ("include_dirs", "link_dirs"):
        for name in getattr(spec, key):
            if not is_dir(root / name):
                problems.append(f"{where_of(spec)}: {key.replace('_', '-')}: there is no folder {name!r}")
    for name in spec.link_libraries:
        if is_library_file(name) and not is_file(root / name):
            problems.append(f"{where_of(spec)}: link-libraries: there is no file {name!r}")
    if spec.without_cuda not in WITHOUT_CUDA:
        allowed = ", ".join(WITHOUT_CUDA)
        problems.append(f"{where_of(spec)}: without-cuda must be one of {allowed}, not {spec.without_cuda!r}")
    options = ("definitions", "compile_options", "cxx_options", "cuda_options", "link_options", "link_libraries")
    for key in options:
        for value in getattr(spec, key):
            if not value or set(value) & {"\n", "\r", "\0"}:
                problems.append(f"{where_of(spec)}: {key.replace('_', '-')}: {value!r} is empty or has a line break")
    for definition in spec.definitions:
        if not _DEFINITION.match(definition):
            problems.append(f"{where_of(spec)}: definitions: {definition!r} does not begin with a macro's name")
        elif "/*" in _LITERAL.sub("", definition).split("*/")[-1]:
            problems.append(f"{where_of(spec)}: definitions: {definition!r} begins a comment that does not end")
    for package in spec.find_packages:
        if not _FIND_PACKAGE.match(package):
            problems.append(
                f'{where_of(spec)}: find-packages: {package!r} must begin with a package: "OpenCV COMPONENTS core"'
            )


def check_package(
    spec: Union[OpLibrary, TorchScriptApp, CMakeProject, CLibrary],
    packages: Optional[Sequence[str]],
    problems: list[str],
) -> None:
    where = where_of(spec)
    if spec.package == "" and isinstance(spec, OpLibrary) and spec.python_module:
        return
    if spec.package is not None and not _PACKAGE_NAME.match(spec.package):
        problems.append(f"{where}: {spec.package!r} is no name of a Python package")
    elif spec.install and packages is not None:
        if spec.package is None:
            problems.append(
                f'{where}: the project has not exactly one top-level package: say package = "…", or install = false'
            )
        elif spec.package not in packages:
            hint = suggestion(spec.package, list(packages))
            problems.append(f"{where}: the project has no package {spec.package!r}{hint}")


def _check_ops(ops: OpLibrary, spec: ProjectSpec, problems: list[str], doubts: Doubts) -> None:
    where = where_of(ops)
    if not ops.sources and not any(p.startswith(f"{where}: sources: ") for p in problems):  # nothing matched
        problems.append(f"{where}: sources is missing")
    if isinstance(ops.precompiled_header, str) and ops.precompiled_header != "auto":
        problems.append(f'{where}: precompiled-header must be "auto", true or false, not {ops.precompiled_header!r}')
    if ops.python_binding not in BINDINGS:
        problems.append(f"{where}: python-binding must be one of {', '.join(BINDINGS)}, not {ops.python_binding!r}")
    check_references(where, "depends", ops.depends, [o.name for o in spec.ops], problems, doubts.get("ops", set()))
    for other in spec.ops if ops.install else ():
        if other.name in ops.depends and not other.install:
            problems.append(
                f"{where}: depends: {other.name!r} has install = false, so the installed library would miss it"
            )
        if other.name < ops.name and other.install and ops.file_name and _file(other) == _file(ops):
            problems.append(f"operator libraries {other.name!r} and {ops.name!r} are both installed as {_file(ops)}")
    if ops.limited_api is not None and not (ops.python_module and re.fullmatch(r"3\.[0-9]{1,3}", ops.limited_api)):
        problems.append(f'{where}: limited-api is a version like "3.9", for a python-module only')
    if ops.abi not in ABIS:
        problems.append(f"{where}: abi must be one of {', '.join(ABIS)}, not {ops.abi!r}")
    if ops.cuda_runtime not in CUDA_RUNTIMES:
        problems.append(f"{where}: cuda-runtime must be one of {', '.join(CUDA_RUNTIMES)}, not {ops.cuda_runtime!r}")
    if ops.torch_target is not None and not (ops.abi == "stable" and re.fullmatch(r"\d\.\d{1,3}", ops.torch_target)):
        problems.append(f'{where}: torch-target is a release like "2.10", for abi = "stable" only')
    if ops.python_parts is not None and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", ops.python_parts):
        problems.append(f"{where}: python-parts is the name of a module, not {ops.python_parts!r}")
    if ops.abi == "stable" and ops.python_module and not ops.limited_api:
        problems.append(f'{where}: with abi = "stable" a python-module needs limited-api = "3.9", say')
    if ops.file_name is not None and not re.fullmatch(r"[\w.+-]+\.(so|dylib|dll|pyd)", ops.file_name):
        problems.append(f"{where}: file-name must be a plain file name that ends in .so, .dylib, .dll or .pyd")


def _file(ops: OpLibrary) -> str:
    return f"{(ops.package or '').replace('.', '/')}/{ops.file_name}"


def _check_cycles(libraries: Sequence[OpLibrary], problems: list[str]) -> None:
    """Each cycle of ``depends`` once, as the chain that a reader can follow."""
    depends = {o.name: o.depends for o in libraries}
    finished: set[str] = set()
    for first in depends:
        chain = [first] if first not in finished else []
        todo = [iter(depends[first])] if chain else []
        while todo:
            name = next(todo[-1], None)
            if name is None:
                finished.add(chain.pop())
                todo.pop()
            elif name in chain:
                circle = " → ".join((*chain[chain.index(name) :], name))
                problems.append(f"operator libraries depend on each other in a circle: {circle}")
            elif name not in finished:
                chain.append(name)
                todo.append(iter(depends.get(name, ())))


def _check_app(app: TorchScriptApp, spec: ProjectSpec, root: Path, problems: list[str], doubts: Doubts) -> None:
    where = where_of(app)
    if app.template not in TEMPLATES:
        problems.append(f"{where}: there is no template {app.template!r}{suggestion(app.template, TEMPLATES)}")
    check_references(where, "models", app.models, [m.name for m in spec.models], problems, doubts.get("model", set()))
    check_references(where, "ops", app.ops, [o.name for o in spec.ops], problems, doubts.get("ops", set()))
    for ops in spec.ops:
        if ops.name in app.ops and ops.python_module:
            problems.append(f"{where}: ops: {ops.name!r} is a Python module; a program cannot link it")
        elif ops.name in app.ops and app.install and not ops.install:
            problems.append(f"{where}: ops: {ops.name!r} has install = false, so the installed program would miss it")
    for key in ("rtol", "atol"):
        if not 0 <= getattr(app, key) < float("inf"):
            problems.append(f"{where}: {key} must not be negative, not {getattr(app, key)}")
    if app.verify:
        models = [m for m in spec.models if m.name in app.models]
        if app.sources or app.template == "minimal":
            problems.append(f"{where}: verify works with the runner template only")
        elif not app.models or (
            models and not any(m.example_inputs or m.check_inputs or lacks_inputs_for_tracing(m) for m in models)
        ):
            problems.append(f"{where}: verify needs a model with example-inputs")
    _check_external_ops(where, app, root, problems)


def _check_external_ops(where: str, app: TorchScriptApp, root: Path, problems: list[str]) -> None:
    if not isinstance(app.external_ops, Mapping):
        return
    if app.external_ops and (app.sources or app.template != "runner"):
        problems.append(f"{where}: external-ops: only the runner template loads the libraries of a table")
    for namespace, file in app.external_ops.items():
        if not is_package_file(file) and not (root / file).is_file():
            problems.append(f"{where}: external-ops: {namespace}: there is no file {file!r}")


def check_references(
    where: str, key: str, names: Sequence[str], known: Sequence[str], problems: list[str], doubtful: set[str]
) -> None:
    what = {"models": "model"}.get(key, "operator library")
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            problems.append(f"{where}: {key}: {name!r} is named twice")
        if name not in known and not {name, ANY} & doubtful:
            hint = suggestion(name, known) if known else "; the project has none"
            problems.append(f"{where}: {key}: there is no {what} {name!r}{hint}")


def is_file(path: Path) -> bool:
    """Is there such a file? There is none whose name the system does not take."""
    return _ask(path.is_file)


def is_dir(path: Path) -> bool:
    """Is there such a folder?"""
    return _ask(path.is_dir)


def _ask(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except (OSError, ValueError):
        return False


def is_package_file(file: str) -> bool:
    """Is a model's ``file`` of the form ``package:path``, a file of an installed Python package?"""
    package, colon, path = file.partition(":")
    return bool(colon and path and _PACKAGE_NAME.match(package))


def is_library_file(name: str) -> bool:
    """Is an entry of ``link-libraries`` a file, and not a name for the linker or CMake?"""
    return not name.startswith("-") and ("/" in name or re.search(r"\.(a|so(\.\d+)*|dylib|lib)\Z", name) is not None)


def check_sanitizers(names: Sequence[str], where: str, problems: list[str]) -> None:
    """The compiler's sanitizers: their names, and which go together."""
    for name in names:
        if name not in SANITIZERS:
            hint = suggestion(name, SANITIZERS)
            problems.append(f"{where}: sanitize: there is no {name!r}{hint}; there are {', '.join(SANITIZERS)}")
    if "thread" in names and {"address", "leak"} & set(names):
        problems.append(f"{where}: sanitize: thread goes neither with address nor with leak")
