"""What must hold in a project beyond the types: names, references, files, packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import write

from torchscript_build.settings.rules import check_spec, is_library_file, is_package_file
from torchscript_build.settings.specs import CMakeProject, OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.cpp", "model.pt", "native/CMakeLists.txt", "libs/libx.so"):
        write(tmp_path / name)
    return tmp_path


def app(name: str = "app", **fields: object) -> TorchScriptApp:
    return TorchScriptApp(**{"name": name, "package": "demo", "sources": ("a.cpp",), **fields})  # type: ignore[arg-type]


def ops(name: str = "ops", **fields: object) -> OpLibrary:
    return OpLibrary(**{"name": name, "package": "demo", "sources": ("a.cpp",), **fields})  # type: ignore[arg-type]


def model(name: str = "model", **fields: object) -> ScriptModel:
    return ScriptModel(**{"name": name, "file": "model.pt", **fields})  # type: ignore[arg-type]


def check(root: Path, *specs: object, packages: tuple[str, ...] = ("demo",)) -> list[str]:
    problems: list[str] = []
    spec = ProjectSpec(
        models=tuple(s for s in specs if isinstance(s, ScriptModel)),
        ops=tuple(s for s in specs if isinstance(s, OpLibrary)),
        apps=tuple(s for s in specs if isinstance(s, TorchScriptApp)),
        cmake=tuple(s for s in specs if isinstance(s, CMakeProject)),
    )
    check_spec(spec, root, packages, problems)
    return problems


def one(root: Path, *specs: object) -> str:
    """The only problem."""
    problems = check(root, *specs)
    assert len(problems) == 1, problems
    return problems[0]


def test_a_good_project_has_no_problems(root: Path) -> None:
    native = CMakeProject(name="native", source_dir="native", package="demo")
    assert check(root, model(), ops(), app(ops=("ops",), models=("model",)), native) == []


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a b", "-a", ".a", "a/b", "a::b", "ä", "a;b", "a\n", "$x", "a'"])
def test_a_name_is_a_name_for_cmake(root: Path, name: str) -> None:
    assert "letters, digits and the characters _ . + -" in check(root, app(name))[0]


@pytest.mark.parametrize("name", ["torch", "c10", "all", "INSTALL", "test", "help", "ts_runner", "Torch_CPU"])
def test_names_that_cmake_or_libtorch_have(root: Path, name: str) -> None:
    assert "already has a target of that name" in one(root, ops(name))


def test_a_model_may_be_called_like_a_target(root: Path) -> None:
    assert check(root, model("torch"), app("app", models=("torch",))) == []


@pytest.mark.parametrize("name", ["app", "my-app", "my_app.2", "7zip", "c++", "_C"])
def test_usual_names_are_taken(root: Path, name: str) -> None:
    assert check(root, app(name)) == []


def test_two_apps_of_one_name(root: Path) -> None:
    assert check(root, app("x"), app("x")) == ["two targets are called 'x'"]


def test_an_app_and_an_operator_library_of_one_name(root: Path) -> None:
    assert one(root, app("x"), ops("x")) == "two targets are called 'x'"


def test_two_models_of_one_name(root: Path) -> None:
    assert one(root, model("x"), model("x")) == "two models are called 'x'"


def test_two_cmake_projects_of_one_name(root: Path) -> None:
    native = CMakeProject(name="x", source_dir="native", package="demo")
    assert one(root, native, native) == "two CMake projects are called 'x'"


def test_two_console_scripts_of_one_name(root: Path) -> None:
    assert one(root, app("x"), app("y", console_script="x")) == "two programs have the console script 'x'"


def test_a_console_scripts_name(root: Path) -> None:
    assert "console-script 'a b'" in one(root, app(console_script="a b"))


def test_an_app_without_console_script_may_share_its_name(root: Path) -> None:
    assert check(root, app("x"), app("y", console_script="x", install=False)) == []


# --- models --------------------------------------------------------------------------------------------------------


AOTI: dict[str, object] = {"file": None, "factory": "a:b", "method": "aoti", "example_inputs": ("ones:2",)}


@pytest.mark.parametrize("sizes", ["auto", {"x": {"0": "batch", "1": "n=2..8", "2": "m=..9", "3": "k=4.."}}])
def test_sizes_that_vary(root: Path, sizes: object) -> None:
    assert check(root, model(**{**AOTI, "dynamic_shapes": sizes})) == []


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"file": None}, "model 'model': give either file or factory"),
        ({"factory": "a:b"}, "model 'model': give either file or factory"),
        ({"file": "missing.pt"}, "model 'model': there is no file 'missing.pt'"),
        ({"file": None, "factory": "a.b"}, "factory must look like 'package.module:function', not 'a.b'"),
        ({"file": None, "factory": "a b:c"}, "factory must look like"),
        (
            {"file": None, "factory": "a:b", "method": "export"},
            "method must be one of script, trace, aoti, not 'export'",
        ),
        ({"file": None, "factory": "a:b", "method": "trace"}, "tracing needs example-inputs"),
        ({"file": None, "factory": "a:b", "method": "aoti"}, 'method = "aoti" needs example-inputs'),
        ({"cpu": "x86-64-v3"}, 'cpu is for method = "aoti" only'),
        ({**AOTI, "cpu": "x86-64-v5"}, "cpu must be one of native, x86-64, x86-64-v2, x86-64-v3, x86-64-v4, not"),
        ({"dynamic_shapes": "auto"}, 'dynamic-shapes is for method = "aoti" only'),
        ({**AOTI, "dynamic_shapes": "all"}, "dynamic-shapes is \"auto\" or a table, not 'all'"),
        ({**AOTI, "dynamic_shapes": {"x": {"a": "b"}}}, "dynamic-shapes: x: a dimension is a number, not 'a'"),
        ({**AOTI, "dynamic_shapes": {"x": {"0": "b=9..2"}}}, 'x: a size is a name, "batch" or'),
        ({**AOTI, "dynamic_shapes": {"x": {"0": "2"}}}, 'x: a size is a name, "batch" or'),
        ({"python_path": ("nowhere",)}, "python-path: there is no folder 'nowhere'"),
    ],
)
def test_wrong_models(root: Path, fields: dict[str, object], wanted: str) -> None:
    assert wanted in one(root, model(**fields))


def test_a_file_of_a_package_is_looked_for_later(root: Path) -> None:
    assert check(root, model(file="silero_vad:data/silero_vad.jit")) == []


@pytest.mark.parametrize(
    ("file", "expected"),
    [("pkg:data/m.pt", True), ("pkg.sub:m.pt", True), ("m.pt", False), ("pkg:", False), ("a b:m.pt", False)],
)
def test_package_files(file: str, expected: bool) -> None:
    assert is_package_file(file) is expected


# --- what is compiled ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"sources": ("b.cpp",)}, "app 'app': sources: there is no file 'b.cpp'"),
        ({"sources": ("native",)}, "app 'app': sources: there is no file 'native'"),
        ({"include_dirs": ("inc",)}, "app 'app': include-dirs: there is no folder 'inc'"),
        ({"link_dirs": ("lib",)}, "app 'app': link-dirs: there is no folder 'lib'"),
        ({"link_libraries": ("libs/liby.so",)}, "app 'app': link-libraries: there is no file 'libs/liby.so'"),
        ({"link_libraries": ("",)}, "link-libraries: '' is empty or has a line break"),
        ({"compile_options": ("-O2\n",)}, "compile-options: '-O2\\n' is empty or has a line break"),
        ({"cxx_options": ("",)}, "cxx-options: '' is empty"),
        ({"definitions": ("1A",)}, "definitions: '1A' does not begin with a macro's name"),
        ({"definitions": ("-DA=1",)}, "definitions: '-DA=1' does not begin with a macro's name"),
        ({"template": "runer", "sources": ()}, "there is no template 'runer'; did you mean 'runner'?"),
        ({"rtol": -1.0}, "rtol must not be negative"),
        ({"atol": float("nan")}, "atol must not be negative"),
        ({"models": ("nodel",)}, "models: there is no model 'nodel'; the project has none"),
        ({"ops": ("x",)}, "ops: there is no operator library 'x'; the project has none"),
        ({"verify": True}, "verify works with the runner template only"),
        ({"verify": True, "sources": (), "template": "minimal"}, "verify works with the runner template only"),
        ({"verify": True, "sources": ()}, "verify needs a model with example-inputs"),
        ({"package": "de-mo"}, "'de-mo' is no name of a Python package"),
        ({"package": "demmo"}, "the project has no package 'demmo'; did you mean 'demo'?"),
        ({"package": None}, "not exactly one top-level package"),
    ],
)
def test_wrong_apps(root: Path, fields: dict[str, object], wanted: str) -> None:
    assert wanted in one(root, app(**fields))


@pytest.mark.parametrize("definition", ["A", "A=", "A=1 2", "A(x)=x+1", "_A=a;b", "A=$<x>"])
def test_definitions_of_any_value_are_taken(root: Path, definition: str) -> None:
    assert check(root, app(definitions=(definition,))) == []


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"sources": ()}, "operator library 'ops': sources is missing"),
        ({"python_binding": "pybind"}, "python-binding must be one of loader, none, not 'pybind'"),
        ({"limited_api": "3.9"}, 'limited-api is a version like "3.9", for a python-module only'),
        ({"limited_api": "39", "python_module": True}, 'limited-api is a version like "3.9"'),
        ({"file_name": "lib/x.so"}, "file-name must be a plain file name that ends in"),
        ({"file_name": "x"}, "file-name must be a plain file name that ends in"),
        ({"depends": ("x",)}, "depends: there is no operator library 'x' (known: ops)"),
    ],
)
def test_wrong_operator_libraries(root: Path, fields: dict[str, object], wanted: str) -> None:
    assert wanted in one(root, ops(**fields))


def test_a_misspelled_reference_gets_a_suggestion(root: Path) -> None:
    assert "no model 'nodel'; did you mean 'model'?" in one(root, model(), app(models=("nodel",)))


def test_a_reference_stands_once(root: Path) -> None:
    assert "models: 'model' is named twice" in one(root, model(), app(models=("model", "model")))


def test_a_circle_is_told_as_a_chain(root: Path) -> None:
    libraries = [ops("a", depends=("b",)), ops("b", depends=("c",)), ops("c", depends=("a",))]
    assert one(root, *libraries) == "operator libraries depend on each other in a circle: a → b → c → a"


def test_a_library_that_depends_on_itself(root: Path) -> None:
    assert one(root, ops("a", depends=("a",))).endswith("in a circle: a → a")


def test_a_circle_is_found_behind_others(root: Path) -> None:
    libraries = [ops("start", depends=("a",)), ops("a", depends=("b",)), ops("b", depends=("a",))]
    assert one(root, *libraries).endswith(": a → b → a")


def test_a_diamond_is_no_circle(root: Path) -> None:
    libraries = [ops("a", depends=("b", "c")), ops("b", depends=("d",)), ops("c", depends=("d",)), ops("d")]
    assert check(root, *libraries) == []


def test_many_layers_are_checked_quickly(root: Path) -> None:
    libraries = [ops("l0")]
    for i in range(1, 25):
        below = [f"l{i - 1}"] if i == 1 else [f"l{i - 1}", f"l{i - 2}"]
        libraries.append(ops(f"l{i}", depends=tuple(below)))
    assert check(root, *libraries) == []


def test_a_program_cannot_link_a_python_module(root: Path) -> None:
    problem = one(root, ops("m", python_module=True), app(ops=("m",)))
    assert "'m' is a Python module; a program cannot link it" in problem


def test_an_installed_program_needs_installed_libraries(root: Path) -> None:
    assert "the installed program would miss it" in one(root, ops(install=False), app(ops=("ops",)))
    assert check(root, ops(install=False), app(ops=("ops",), install=False)) == []


def test_an_installed_library_needs_installed_libraries(root: Path) -> None:
    assert "the installed library would miss it" in one(root, ops("a", install=False), ops("b", depends=("a",)))


def test_two_files_of_one_name_in_a_package(root: Path) -> None:
    problem = one(root, ops("a", file_name="_C.so"), ops("b", file_name="_C.so"))
    assert "'a'" in problem
    assert "'b'" in problem
    assert "demo/_C.so" in problem


def test_a_cmake_project_needs_its_cmakelists(root: Path) -> None:
    problem = one(root, CMakeProject(name="n", source_dir="libs", package="demo"))
    assert problem == "CMake project 'n': source-dir: there is no CMakeLists.txt in 'libs'"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("z", False), ("-lz", False), ("OpenCV::core", False), ("-Wl,-x/y", False)),
        *(("libs/libx.so", True), ("libx.so.1", True), ("libx.a", True), ("/abs/libx.dylib", True)),
    ],
)
def test_library_files(name: str, expected: bool) -> None:
    assert is_library_file(name) is expected
