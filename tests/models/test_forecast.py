"""Whether a model's operators are there: libtorch's own, linked, or promised for run time."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from pathlib import Path

import pytest
from nobodys_machine import linux_torch, make_plan
from support import write

from torchscript_build.errors import ModelError
from torchscript_build.models.forecast import Missing, check_formats, find_missing, read_archives
from torchscript_build.models.namespaces import NAMESPACES
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
) -> list[str]:
    """The operators and classes that seem to be missing."""
    library = root / "libtorch_cpu.so"
    library.write_bytes(b"\0aten::add\0newest::thing\0")
    spec = ProjectSpec(models=(make_model(root, "net", code),), ops=libraries, apps=(app,))
    libtorch = linux_torch(libraries=(library, write(root / "libtorch.so")))
    plan = make_plan(spec, root=root, build_base=root / "build", libtorch=libtorch)
    known = {o.name: Registrations() for o in libraries}
    archives = read_archives(plan, ["net"])
    missing = find_missing({app.name: app}, plan, archives, {**known, **(registered or {})}, schemas or {})
    assert all(m == Missing("app", "net", m.name) for m in missing)
    return [m.name for m in missing]


def app(**fields: object) -> TorchScriptApp:
    return TorchScriptApp(name="app", package="demo", models=("net",), **fields)  # type: ignore[arg-type]


def test_missing_operators_and_classes_are_named(tmp_path: Path) -> None:
    code = "y = ops.my.add(x)\n  z = ops.other.mul(y)\n  s : __torch__.torch.classes.my.Stack\n"
    assert check(tmp_path, app(), code) == ["my::add", "other::mul", "my::Stack"]


@pytest.mark.parametrize(
    "code",
    [
        "ops.aten.add(x)",
        "ops.prim.x(x)",
        "ops.quantized.linear(x)",
        "ops.newest.thing(x)",
        "p : __torch__.torch.classes.rnn.CellParamsBase",
    ],
)
def test_torchs_own_operators_and_classes(tmp_path: Path, code: str) -> None:
    assert check(tmp_path, app(), code) == []


@pytest.mark.torch
def test_the_installed_torchs_namespaces_are_in_the_table() -> None:
    from torch_namespaces import own_namespaces

    assert set(own_namespaces()) <= NAMESPACES


def test_operators_of_a_linked_library(tmp_path: Path) -> None:
    linked = app(ops=("o",))
    for registered in (Registrations(owners=("my",)), Registrations(fragments=("my",))):
        assert check(tmp_path, linked, libraries=(ops("o"),), registered={"o": registered}) == []


def test_operators_of_a_library_behind_a_library(tmp_path: Path) -> None:
    libraries = (ops("o", "base"), ops("base"))
    registered = {"base": Registrations(owners=("my",))}
    assert check(tmp_path, app(ops=("o",)), libraries=libraries, registered=registered) == []


def test_operators_that_only_loading_told(tmp_path: Path) -> None:
    schemas = {"o": ["my::add(Tensor x) -> Tensor"]}
    assert check(tmp_path, app(ops=("o",)), libraries=(ops("o"),), schemas=schemas) == []


def test_a_library_that_is_not_linked_does_not_count(tmp_path: Path) -> None:
    registered = {"o": Registrations(owners=("my",))}
    assert check(tmp_path, app(), libraries=(ops("o"),), registered=registered) == ["my::add"]


def test_operators_that_are_promised_for_run_time(tmp_path: Path) -> None:
    assert check(tmp_path, app(external_ops=("my",))) == []
    assert check(tmp_path, app(external_ops={"my": "my_package:_C.so"})) == []


def test_operators_that_an_apps_own_sources_register(tmp_path: Path) -> None:
    write(tmp_path / "main.cpp", "TORCH_LIBRARY(my, m) {}\n")
    assert check(tmp_path, app(sources=("main.cpp",))) == []


def newer_than_libtorch(root: Path) -> None:
    plan = make_plan(
        ProjectSpec(models=(make_model(root, "net", ""),), apps=(app(),)),
        root=root,
        build_base=root / "build",
        libtorch=linux_torch(root=root, version="1.8.1", libraries=(write(root / "libtorch.so"),)),
    )
    check_formats(read_archives(plan, ["net"]), plan)


def test_a_model_newer_than_libtorch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model 'net' has file format 6; libtorch 1\.8\.1 reads up to 5"):
        newer_than_libtorch(tmp_path)


def test_libtorchs_own_header_is_believed_before_the_table(tmp_path: Path) -> None:
    header = "constexpr uint64_t kMaxSupportedFileFormatVersion = 0x6L;\n"
    write(tmp_path / "include/caffe2/serialize/versions.h", header)
    newer_than_libtorch(tmp_path)


def test_an_archive_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    plan = make_plan(ProjectSpec(models=(make_model(tmp_path, "net", "ops.my.add(x)"),)), build_base=tmp_path / "build")
    plan = dataclasses.replace(plan, models=(dataclasses.replace(plan.models[0], file=str(tmp_path / "net.pt")),))
    found = read_archives(plan, ["net"])
    stamp = (tmp_path / "net.pt").stat()
    (tmp_path / "net.pt").write_bytes(b"x" * stamp.st_size)
    os.utime(tmp_path / "net.pt", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert read_archives(plan, ["net"]) == found


def test_a_device_in_the_code_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = 'a = 1\n  b = torch.zeros([2], device=torch.device("cuda:0"))\n  c = torch.device("cuda:0")\n'
    check(tmp_path, app(), code)
    check(tmp_path, app(), code)
    err = capsys.readouterr().err
    assert err.count("warning: model 'net' was made for cuda:0, which stands in its code (code/a.py:2: ") == 2
    assert 'b = torch.zeros([2], device=torch.device("cuda:0")), and 1 more)' in err
    assert "export it with module and inputs on the CPU" in err
    check(tmp_path, app(), 'b = torch.device("cpu")\n')
    assert capsys.readouterr().err == ""
