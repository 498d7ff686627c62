"""The two Python modules that a package gets, run against stand-ins for torch; and the plain functions around them."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from typing import Optional

import pytest
from children import run_python
from nobodys_machine import cuda_torch, linux_torch, made_up, make_plan
from support import stub, write

from torchscript_build.generate.launcher import StartedPrograms, console_scripts, function_name, render_launchers
from torchscript_build.generate.loader import LoadedOps, render_loaders
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.operators.registrations import Registrations, operator_names
from torchscript_build.packaging.outputs import app_targets, ops_targets, package_of
from torchscript_build.packaging.source_files import source_files
from torchscript_build.packaging.staged import StagedFile, make_place, stage
from torchscript_build.packaging.staging import app_files, launcher_files
from torchscript_build.settings.specs import CMakeProject, OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp

APP = TorchScriptApp(name="my-app", package="demo", models=("net",))
OPS = OpLibrary(name="my_ops", package="demo", sources=("ops.cpp",))
MODEL = ScriptModel(name="net", factory="demo.model:make")


# --- the launcher --------------------------------------------------------------------------------------------------


def launcher_text(*apps: TorchScriptApp, series: str = "2.13") -> str:
    (text,) = render_launchers(ProjectSpec(apps=apps), [StartedPrograms(series)]).values()
    return text.decode()


def install_launcher(site: Path, app: TorchScriptApp = APP, torch: Optional[str] = "2.13.0") -> Path:
    """The launcher with a program that tells how it was started."""
    package = site.joinpath(*(app.package or "").split("."))
    write(package / "__init__.py")
    write(package / "_torchscript_apps.py", launcher_text(app))
    stub(package / "bin" / app.name, 'echo "program $*"', 'echo "path $LD_LIBRARY_PATH"', "exit 7")
    if torch:
        write(site / "torch/__init__.py", "raise RuntimeError('imported')\n")
        write(site / "torch/version.py", f"__version__ = '{torch}'\n")
        (site / "torch/lib").mkdir()
    return site


def start(
    site: Path, app: TorchScriptApp = APP, *arguments: str, more: Optional[Path] = None, **variables: str
) -> tuple[int, str]:
    module = f"{app.package}._torchscript_apps"
    code = f"import sys; sys.argv[1:] = {list(arguments)!r}; import {module} as m; m.{function_name(app.name)}()"
    path = os.pathsep.join(map(str, [site, *([more] if more else [])]))
    done = run_python("-S", "-c", code, cwd=site, variables={"PYTHONPATH": path, "PATH": os.defpath, **variables})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is the Linux loader's")
def test_a_launcher_tells_of_another_libtorch_that_is_preloaded(tmp_path: Path) -> None:
    site = install_launcher(tmp_path / "site")
    own, foreign = write(site / "torch/lib/libc10.so"), write(tmp_path / "other/libtorch_cpu.so")
    note = f"note: LD_PRELOAD puts {foreign}, of another libtorch, before that of {site / 'torch'}\n"
    code, output = start(site, LD_PRELOAD=f"{own} /nowhere/libtorch.so:{foreign}")
    assert code == 7
    assert [line for line in output.splitlines(keepends=True) if line.startswith("note: ")] == [note]


def test_a_launcher_becomes_the_program(tmp_path: Path) -> None:
    code, output = start(install_launcher(tmp_path), APP, "--a", "two words")
    assert (code, output) == (7, "program --a two words\npath \n")


@pytest.mark.parametrize("name", ["app", "my-app", "my.app", "my_app", "7zip", "c++", "_start", "os"])
def test_a_launcher_of_any_name(tmp_path: Path, name: str) -> None:
    app = TorchScriptApp(name=name, package="demo")
    assert start(install_launcher(tmp_path, app), app)[0] == 7


def test_names_that_look_alike_have_different_functions() -> None:
    names = [function_name(n) for n in ("a-b", "a_b", "a.b", "a+b", "a_2d_b")]
    assert len(set(names)) == 5
    assert all(name.isidentifier() for name in names)


def test_a_launcher_in_a_nested_package(tmp_path: Path) -> None:
    app = TorchScriptApp(name="app", package="a.b.c")
    site = install_launcher(tmp_path, app)
    write(site / "a/__init__.py")
    assert start(site, app) == (7, "program \npath \n")


def test_without_torch_the_launcher_says_what_to_install(tmp_path: Path) -> None:
    code, output = start(install_launcher(tmp_path, torch=None))
    assert (code, output) == (1, "error: this program needs torch 2.13: pip install 'torch==2.13.*'\n")


def test_another_series_of_torch_is_refused(tmp_path: Path) -> None:
    code, output = start(install_launcher(tmp_path, torch="2.9.1+cu126"))
    assert code == 1
    assert output == (
        "error: this program was built for torch 2.13, but torch 2.9 is installed: pip install 'torch==2.13.*', or "
        "reinstall this package\n"
    )


@pytest.mark.parametrize(
    ("line", "code"), [("cuda = None", 1), ("cuda: Optional[str] = '12.6'", 1), ("cuda = '13.1'", 7)]
)
@pytest.mark.parametrize("needs", [True, False])
def test_a_program_that_needs_cuda_asks_for_its_build(tmp_path: Path, line: str, code: int, needs: bool) -> None:
    site = install_launcher(tmp_path)
    accelerated = [APP.name] if needs else []
    texts = render_launchers(ProjectSpec(apps=(APP,)), [StartedPrograms("2.13", "", "13", accelerated)])
    (site / "demo/_torchscript_apps.py").write_bytes(texts["demo/_torchscript_apps.py"])
    write(site / "torch/version.py", f"__version__ = '2.13.0'\n{line}\n")
    status, output = start(site)
    assert status == (code if needs else 7)
    if status == 1:
        here = "without CUDA" if "None" in line else "with CUDA 12"
        assert output == (
            f"error: this program needs a build of torch 2.13 with CUDA 13, but one {here} is installed: install the "
            "CUDA 13 build of torch 2.13 in its place, or build this package again for this torch\n"
        )


@pytest.mark.parametrize("version", ["2.13.1", "2.13.0+cu130", "2.13.0a0+git1234"])
def test_any_torch_of_the_series_will_do(tmp_path: Path, version: str) -> None:
    assert start(install_launcher(tmp_path, torch=version))[0] == 7


def test_torch_elsewhere_is_put_into_the_loaders_path(tmp_path: Path) -> None:
    site = install_launcher(tmp_path / "site", torch=None)
    other = install_launcher(tmp_path / "other")
    assert start(site, more=other) == (7, f"program \npath {other}/torch/lib\n")


def test_one_launcher_for_all_programs_of_a_package() -> None:
    text = launcher_text(APP, TorchScriptApp(name="second", package="demo"))
    assert "start_my_2d_app = functools.partial(_start, 'bin/my-app')" in text
    assert "start_second = functools.partial(_start, 'bin/second')" in text
    ast.parse(text)


@pytest.mark.parametrize(
    ("version", "output"),
    [
        ("2.9.1", "for 2.9"),
        ("2.13.0+cpu", "for 2.13"),
        (
            "2.12.0",
            (
                "error: this program was built for torch 2.9 and 2.13, but torch 2.12 is installed: "
                "pip install 'torch==2.13.*', or reinstall this package"
            ),
        ),
        (None, "error: this program needs torch 2.9 or 2.13: pip install 'torch==2.13.*'"),
    ],
)
def test_a_launcher_chooses_by_the_series(tmp_path: Path, version: Optional[str], output: str) -> None:
    site = install_launcher(tmp_path, torch=version)
    made = [StartedPrograms(series, f"torch{series}") for series in ("2.13", "2.9")]
    texts = render_launchers(ProjectSpec(apps=(APP,)), made)
    (site / "demo/_torchscript_apps.py").write_bytes(texts["demo/_torchscript_apps.py"])
    for series in ("2.9", "2.13"):
        (site / f"demo/bin/torch{series}").mkdir()
        stub(site / f"demo/bin/torch{series}" / APP.name, f"echo 'for {series}'")
    assert start(site)[1] == f"{output}\n"


def test_no_launcher_without_a_console_script() -> None:
    apps = (TorchScriptApp(name="a", package="demo", console_script=False), TorchScriptApp(name="b", install=False))
    assert render_launchers(ProjectSpec(apps=apps), [StartedPrograms("2.13")]) == {}
    assert console_scripts(ProjectSpec(apps=apps)) == ()


def test_console_scripts() -> None:
    apps = (APP, TorchScriptApp(name="b", package="a.b", console_script="start-b"))
    assert console_scripts(ProjectSpec(apps=apps)) == (
        "my-app = demo._torchscript_apps:start_my_2d_app",
        "start-b = a.b._torchscript_apps:start_b",
    )


# --- the loader ----------------------------------------------------------------------------------------------------

TORCH = """\
__version__ = {version!r}
class version:
    cuda = {cuda!r}
def compiled_with_cxx11_abi(): return {abi!r}
class _Namespace:
    def __getattr__(self, name):
        if name in {registered!r}: return name
        raise AttributeError(name)
class ops:
    loaded_libraries = set()
    my = _Namespace()
    @classmethod
    def load_library(cls, path):
        print("load", path)
        cls.loaded_libraries.add(path)
"""


def loader_text(
    libtorch: LibTorch, *, schemas: Optional[dict[str, list[str]]] = None, accelerated: tuple[str, ...] = ("my_ops",)
) -> str:
    spec = ProjectSpec(ops=(OPS,))
    found = Registrations(owners=("my",), operators=("my::add", "my::add.out"))
    names = {"my_ops": operator_names(found, (schemas or {}).get("my_ops"))}
    texts = render_loaders(spec, [LoadedOps(make_plan(spec, libtorch=libtorch), names, schemas or {}, accelerated)])
    return texts["demo/_torchscript_ops.py"].decode()


def install_loader(
    site: Path,
    libtorch: Optional[LibTorch] = None,
    *,
    version: str = "2.13.0+cpu",
    cuda: Optional[str] = None,
    abi: bool = True,
    registered: tuple[str, ...] = (),
    library: bool = True,
) -> Path:
    text = TORCH.format(version=version, cuda=cuda, abi=abi, registered=registered)
    write(site / "torch/__init__.py", text)
    write(site / "demo/__init__.py", "from . import _torchscript_ops\n")
    write(site / "demo/_torchscript_ops.py", loader_text(libtorch or linux_torch()))
    if library:
        write(site / "demo/lib/libmy_ops.so", "x")
    return site


def import_demo(site: Path, code: str = "import demo") -> tuple[int, str]:
    done = run_python("-S", "-c", code, cwd=site, variables={"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"})
    return done.returncode, done.stdout + done.stderr


def refusal(site: Path) -> str:
    code, output = import_demo(site)
    assert code == 1
    assert output.splitlines()[-1].startswith("ImportError: demo")
    assert "load " not in output.splitlines()[0]
    return output.splitlines()[-1].removeprefix("ImportError: ")


def test_a_loader_loads_once(tmp_path: Path) -> None:
    site = install_loader(tmp_path)
    code = "import demo, importlib; importlib.reload(demo._torchscript_ops)"
    assert import_demo(site, code) == (0, f"load {site}/demo/lib/libmy_ops.so\n")


def test_a_loader_follows_links(tmp_path: Path) -> None:
    site = install_loader(tmp_path / "site")
    (tmp_path / "link").symlink_to(site)
    assert import_demo(tmp_path / "link") == (0, f"load {site}/demo/lib/libmy_ops.so\n")


def test_another_series(tmp_path: Path) -> None:
    assert refusal(install_loader(tmp_path, version="2.12.1")) == (
        "demo was built for torch 2.13 (no CUDA, new C++ ABI), but torch 2.12.1 (no CUDA, new C++ ABI) is installed: "
        "pip install 'torch==2.13.*', or build demo again for this torch"
    )


def several_loader() -> bytes:
    spec = ProjectSpec(ops=(OPS,))
    made = [
        LoadedOps(make_plan(spec, libtorch=linux_torch(version=f"{series}.0"), is_one_of_several=True), {"my_ops": ()})
        for series in ("2.13", "2.9", "2.11")
    ]
    return render_loaders(spec, made)["demo/_torchscript_ops.py"]


@pytest.mark.parametrize("version", ["2.9.1", "2.11.0a0+git1", "2.13.0+cpu"])
def test_a_loader_chooses_by_the_series(tmp_path: Path, version: str) -> None:
    site = install_loader(tmp_path, version=version)
    (site / "demo/_torchscript_ops.py").write_bytes(several_loader())
    folder = f"torch{'.'.join(version.split('.')[:2])}"
    write(site / f"demo/lib/{folder}/libmy_ops.so", "x")
    assert import_demo(site) == (0, f"load {site}/demo/lib/{folder}/libmy_ops.so\n")


def test_none_of_several_series(tmp_path: Path) -> None:
    site = install_loader(tmp_path, version="2.12.1")
    (site / "demo/_torchscript_ops.py").write_bytes(several_loader())
    assert refusal(site) == (
        "demo was built for torch 2.9, 2.11 and 2.13 (no CUDA, new C++ ABI), but torch 2.12.1 (no CUDA, new C++ ABI) "
        "is installed: pip install 'torch==2.13.*', or build demo again for this torch"
    )


def test_a_schema_of_another_series_is_passed_over(tmp_path: Path) -> None:
    site = install_loader(tmp_path)
    write(site / "demo/_torchscript_ops.py", loader_text(linux_torch(), schemas={"my_ops": ["my::gone() -> ()"]}))
    assert import_demo(site)[0] == 0


def test_another_abi(tmp_path: Path) -> None:
    assert "but torch 2.13.0 (no CUDA, old C++ ABI) is installed" in refusal(
        install_loader(tmp_path, version="2.13.0", abi=False)
    )


def test_another_cuda(tmp_path: Path) -> None:
    text = refusal(install_loader(tmp_path, cuda_torch(), version="2.13.0", cuda="12.6"))
    assert "built for torch 2.13 (CUDA 13, new C++ ABI), but torch 2.13.0 (CUDA 12, new C++ ABI)" in text


def test_no_cuda_where_it_is_needed(tmp_path: Path) -> None:
    text = refusal(install_loader(tmp_path, cuda_torch()))
    assert "but torch 2.13.0+cpu (no CUDA" in text
    assert text.endswith("install the CUDA 13 build of torch 2.13 in its place, or build demo again for this torch")


def test_what_needs_no_cuda_takes_any_build_of_the_series(tmp_path: Path) -> None:
    site = install_loader(tmp_path)
    write(site / "demo/_torchscript_ops.py", loader_text(cuda_torch(), accelerated=()))
    assert import_demo(site)[0] == 0


@pytest.mark.parametrize("cuda", ["13.0", "13.1"])
def test_what_was_built_with_cuda_takes_its_series(tmp_path: Path, cuda: str) -> None:
    assert import_demo(install_loader(tmp_path, cuda_torch(), cuda=cuda))[0] == 0


def test_what_was_built_without_cuda_takes_any(tmp_path: Path) -> None:
    assert import_demo(install_loader(tmp_path, cuda="12.6"))[0] == 0


def test_where_there_is_no_abi_none_is_asked(tmp_path: Path) -> None:
    assert import_demo(install_loader(tmp_path, linux_torch(cxx11_abi=None), abi=False))[0] == 0


def test_no_torch(tmp_path: Path) -> None:
    site = install_loader(tmp_path)
    (site / "torch/__init__.py").unlink()
    (site / "torch").rmdir()
    assert "No module named 'torch'" in import_demo(site)[1]


def test_a_missing_library(tmp_path: Path) -> None:
    site = install_loader(tmp_path, library=False)
    assert refusal(site) == f"demo: {site}/demo/lib/libmy_ops.so is missing; install demo again"


def test_a_second_copy(tmp_path: Path) -> None:
    site = install_loader(tmp_path, registered=("add",))
    code = "import torch; torch.ops.loaded_libraries.add('/other/libmy_ops.so'); import demo"
    status, output = import_demo(site, code)
    assert status == 1
    assert output.splitlines()[-1] == (
        "ImportError: demo: the operator my::add is registered already, by /other/libmy_ops.so; it cannot be loaded a "
        f"second time from {site}/demo/lib/libmy_ops.so: keep one of the two copies"
    )


def test_a_loaders_schemas_and_operators() -> None:
    schemas = {
        "my_ops": ['my::add(Tensor a, str s="\\"") -> Tensor', "my::add.out(Tensor a) -> Tensor", "my::b() -> ()"]
    }
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(loader_text(linux_torch(), schemas=schemas)).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id[0] != "_"
    }
    (build,) = values["BUILDS"]
    assert build["libraries"] == (("lib/libmy_ops.so", ("my::add", "my::b")),)
    assert build["operators"] == tuple(schemas["my_ops"])
    assert values["PACKAGE"] == "demo"


def test_no_loader_where_none_is_wanted() -> None:
    spec = ProjectSpec(ops=(OpLibrary(name="o", package="demo", sources=("o.cpp",), python_binding="none"),))
    assert render_loaders(spec, [LoadedOps(make_plan(spec), {"o": ()})]) == {}


def test_a_loader_passes_over_python_modules_and_keeps_the_link_order() -> None:
    def ops(name: str, **fields: object) -> OpLibrary:
        return OpLibrary(name=name, package="demo", sources=("o.cpp",), **fields)  # type: ignore[arg-type]

    spec = ProjectSpec(ops=(ops("top", depends=("base",)), ops("_C", python_module=True), ops("base")))
    names = {o.name: () for o in spec.ops}
    (text,) = render_loaders(spec, [LoadedOps(make_plan(spec), names)]).values()
    assert text.index(b"libbase.so") < text.index(b"libtop.so")
    assert b"_C" not in text


# --- which files go where ------------------------------------------------------------------------------------------

WHOLE = ProjectSpec(
    models=(MODEL,),
    ops=(OPS, OpLibrary(name="_C", package="demo.sub", sources=("c.cpp",), python_module=True, install=True)),
    apps=(APP, TorchScriptApp(name="hidden", sources=("h.cpp",), install=False)),
    cmake=(CMakeProject(name="native", source_dir="native", package="demo"),),
)


def test_the_files_of_a_package_are_known_beforehand(tmp_path: Path) -> None:
    environment = made_up(tmp_path)
    assert app_targets(WHOLE, environment) == ["demo/_torchscript_apps.py", "demo/bin/my-app", "demo/models/net.pt"]
    assert ops_targets(WHOLE, environment) == [
        "demo/_torchscript_ops.py",
        "demo/lib/libmy_ops.so",
        "demo/sub/_C.so",
    ]


def test_what_is_known_beforehand_is_what_is_staged(tmp_path: Path) -> None:
    spec = ProjectSpec(models=WHOLE.models, apps=WHOLE.apps)
    plan = make_plan(spec)
    files = [*app_files(spec, plan, lambda app: Path(app.name)), *launcher_files(spec, [(plan, ())])]
    assert sorted(f.target for f in files) == app_targets(spec, made_up(tmp_path))


@pytest.mark.parametrize(
    ("target", "package"), [("demo/bin/my-app", "demo"), ("demo/sub/_C.so", "demo.sub"), ("demo/subx/a", "demo")]
)
def test_the_package_of_a_file(target: str, package: str) -> None:
    assert package_of(WHOLE, target) == package


def test_the_sources_that_an_sdist_needs(tmp_path: Path) -> None:
    wanted = (
        *("cpp/main.cpp", "cpp/main.h", "cpp/deep/x.hpp", "inc/y.h", "libs/libx.a", "net.pt", "in.npy"),
        *("native/CMakeLists.txt", "native/src/a.cpp", "native/.clang-format"),
    )
    for name in (*wanted, "cpp/notes.txt", "native/build/x", "native/.git/config", "native/__pycache__/x", "other.h"):
        write(tmp_path / name)
    spec = ProjectSpec(
        models=(ScriptModel(name="n", file="net.pt", example_inputs=("in.npy", "ones:1")),),
        apps=(
            TorchScriptApp(
                name="a", sources=("cpp/main.cpp",), include_dirs=("inc",), link_libraries=("libs/libx.a", "z")
            ),
        ),
        cmake=(CMakeProject(name="c", source_dir="native"),),
    )
    assert source_files(spec, tmp_path) == sorted(wanted)


def test_sources_at_the_top_do_not_drag_everything_along(tmp_path: Path) -> None:
    for name in ("main.cpp", "main.h", "build/generated.h", "venv/include/huge.h", "venv/pyvenv.cfg", ".tox/x.h"):
        write(tmp_path / name)
    for name in ("cmake-build-debug/CMakeCache.txt", "cmake-build-debug/deep/x.h"):
        write(tmp_path / name)
    spec = ProjectSpec(apps=(TorchScriptApp(name="a", sources=("main.cpp",)),))
    assert source_files(spec, tmp_path) == ["main.cpp", "main.h"]


def test_staging_writes_only_what_changed(tmp_path: Path) -> None:
    source = stub(tmp_path / "source", "true")
    files = [StagedFile("demo/bin/app", source), StagedFile("demo/x.py", b"x")]
    for _ in range(2):
        written = stage(files, make_place(tmp_path / "lib", tmp_path), "apps")
        for _, path in written:
            os.utime(path, ns=(5, source.stat().st_mtime_ns if path.name == "app" else 5))
    assert [target for target, _ in written] == ["demo/bin/app", "demo/x.py"]
    assert os.access(tmp_path / "lib/demo/bin/app", os.X_OK)
    assert (tmp_path / "lib/demo/x.py").stat().st_mtime_ns == 5


def test_the_interpreter_of_these_tests_runs_the_modules_unchanged() -> None:
    ast.parse(launcher_text(APP), feature_version=(3, 9))
    ast.parse(loader_text(linux_torch()), feature_version=(3, 9))
    assert sys.version_info >= (3, 9)
