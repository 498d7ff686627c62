"""Whether a model's operators are there: libtorch's own, linked, or promised for run time."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from support import linux_torch, make_plan, write

from torchscript_build.errors import ModelError
from torchscript_build.models.check import check_models
from torchscript_build.operators.registrations import Registrations
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, ScriptModel, TorchScriptApp


def make_model(root: Path, name: str, code: str) -> ScriptModel:
    with zipfile.ZipFile(root / f"{name}.pt", "w") as archive:
        for entry, text in (("version", "6"), ("constants.pkl", ""), ("data.pkl", ""), ("code/a.py", code)):
            archive.writestr(f"net/{entry}", text)
    return ScriptModel(name=name, file=f"{name}.pt")


def ops(name: str, *depends: str) -> OpLibrary:
    return OpLibrary(name=name, package="demo", sources=("o.cpp",), depends=depends)


def check(
    root: Path,
    app: TorchScriptApp,
    code: str = "ops.my.add(x)",
    *,
    libraries: tuple[OpLibrary, ...] = (),
    registered: dict[str, Registrations] | None = None,
    schemas: dict[str, list[str]] | None = None,
) -> None:
    library = root / "libtorch_cpu.so"
    library.write_bytes(b"\0aten::add\0newest::thing\0")
    spec = ProjectSpec(models=(make_model(root, "net", code),), ops=libraries, apps=(app,))
    libtorch = linux_torch(libraries=(library, write(root / "libtorch.so")))
    plan = make_plan(spec, root=root, libtorch=libtorch)
    known = {o.name: Registrations() for o in libraries}
    check_models({app.name: app}, plan, {**known, **(registered or {})}, schemas or {})


def app(**fields: object) -> TorchScriptApp:
    return TorchScriptApp(name="app", package="demo", models=("net",), **fields)  # type: ignore[arg-type]


def test_a_missing_operator_is_named_with_what_to_do(tmp_path: Path) -> None:
    code = "y = ops.my.add(x)\n  z = ops.other.mul(y)\n  s : __torch__.torch.classes.my.Stack\n"
    with pytest.raises(ModelError) as caught:
        check(tmp_path, app(), code)
    text = str(caught.value)
    for name in ("my::add", "other::mul", "my::Stack"):
        assert f"  - app 'app': model 'net' needs {name}" in text
    assert "name the operator library that has it in the app's ops" in text
    assert "external-ops" in text


@pytest.mark.parametrize("code", ["ops.aten.add(x)", "ops.prim.x(x)", "ops.quantized.linear(x)", "ops.newest.thing(x)"])
def test_torchs_own_operators(tmp_path: Path, code: str) -> None:
    check(tmp_path, app(), code)


def test_operators_of_a_linked_library(tmp_path: Path) -> None:
    check(tmp_path, app(ops=("o",)), libraries=(ops("o"),), registered={"o": Registrations(owners=("my",))})
    check(tmp_path, app(ops=("o",)), libraries=(ops("o"),), registered={"o": Registrations(fragments=("my",))})


def test_operators_of_a_library_behind_a_library(tmp_path: Path) -> None:
    libraries = (ops("o", "base"), ops("base"))
    check(tmp_path, app(ops=("o",)), libraries=libraries, registered={"base": Registrations(owners=("my",))})


def test_operators_that_only_loading_told(tmp_path: Path) -> None:
    check(tmp_path, app(ops=("o",)), libraries=(ops("o"),), schemas={"o": ["my::add(Tensor x) -> Tensor"]})


def test_a_library_that_is_not_linked_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="my::add"):
        check(tmp_path, app(), libraries=(ops("o"),), registered={"o": Registrations(owners=("my",))})


def test_operators_that_are_promised_for_run_time(tmp_path: Path) -> None:
    check(tmp_path, app(external_ops=("my",)))


def test_operators_that_an_apps_own_sources_register(tmp_path: Path) -> None:
    write(tmp_path / "main.cpp", "TORCH_LIBRARY(my, m) {}\n")
    check(tmp_path, app(sources=("main.cpp",)))


def test_only_the_apps_that_are_built_are_checked(tmp_path: Path) -> None:
    spec = ProjectSpec(models=(make_model(tmp_path, "net", "ops.my.add(x)"),), apps=(app(),))
    check_models({}, make_plan(spec, root=tmp_path), {}, {})


def test_a_model_newer_than_libtorch_is_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path, "net", "")
    plan = make_plan(
        ProjectSpec(models=(model,), apps=(app(),)),
        root=tmp_path,
        libtorch=linux_torch(version="1.8.1", libraries=(write(tmp_path / "libtorch.so"),)),
    )
    with pytest.raises(ModelError, match=r"model 'net' has file format 6; libtorch 1\.8\.1 reads up to 5"):
        check_models({"app": app()}, plan, {}, {})
