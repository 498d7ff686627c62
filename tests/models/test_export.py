"""Making model files in a child: with a stand-in for torch where only the child's fate matters, else with torch."""

from __future__ import annotations

import dataclasses
import os
import sys
import zipfile
from pathlib import Path
from typing import Optional

import pytest
from nobodys_machine import linux_torch, made_up, make_plan
from support import stub, write
from tiny_torch import STAND_IN_TORCH

from torchscript_build.errors import ModelError
from torchscript_build.models import jobs
from torchscript_build.models.archive import read_archive
from torchscript_build.models.export import locate_package_file, prepare_models
from torchscript_build.models.forecast import read_archives
from torchscript_build.models.references import Case, Wanted, prepare_references
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.settings.specs import OpLibrary, ProjectSpec, ScriptModel
from torchscript_build.system import Environment, PythonTarget

FACTORIES = """\
import os, sys, torch
from . import helper
def good():
    print("factory called")
    return torch.nn.Module()
def raises(): raise ValueError("the lamp is out")
def leaves(): sys.exit(0)
def leaves_hard(): os._exit(0)
def is_killed(): os.kill(os.getpid(), 9)
def returns_a_list(): return [1]
def imports_missing(): import no_such_thing
def imports_generated():
    from demo import _torchscript_ops
    print("generated says", _torchscript_ops.WORD)
    return torch.nn.Module()
def tells_how_threads_wait():
    print("the factory's threads wait:", os.environ.get("OMP_WAIT_POLICY"))
    return torch.nn.Module()
def tells_its_seed():
    print("hash seed", os.environ["PYTHONHASHSEED"])
    return torch.nn.Module()
def writes_a_name():
    print(os.fsdecode(b"caf\\xe9"))
    return torch.nn.Module()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path / "project/demo/__init__.py")
    write(tmp_path / "project/demo/helper.py")
    write(tmp_path / "project/demo/model.py", FACTORIES)
    return tmp_path / "project"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An interpreter whose only torch is the stand-in."""
    write(tmp_path / "site/torch/__init__.py", STAND_IN_TORCH)
    python = stub(tmp_path / "python", f'exec "{sys.executable}" -S -E "$@"')
    target = PythonTarget(python, search_path=(tmp_path / "site",), site_packages=(tmp_path / "site",))
    made = made_up(tmp_path, PATH=os.defpath)
    return dataclasses.replace(made, python=target)


def plan_of(project: Path, *models: ScriptModel, **changes: object) -> BuildPlan:
    spec = ProjectSpec(models=tuple(dataclasses.replace(m, python_path=(*m.python_path, ".")) for m in models))
    libtorch = linux_torch(layout="archive")
    return make_plan(spec, root=project, build_base=project / "build", **{"libtorch": libtorch, **changes})


def model(factory: str = "good", **fields: object) -> ScriptModel:
    return ScriptModel(name="net", factory=f"demo.model:{factory}", **fields)  # type: ignore[arg-type]


def export_one(project: Path, environment: Environment, spec: ScriptModel) -> Path:
    plan = plan_of(project, spec)
    prepare_models(plan, environment, names=["net"], libraries={})
    return Path(plan.model("net").file)


def failure(project: Path, environment: Environment, spec: ScriptModel) -> str:
    with pytest.raises(ModelError) as caught:
        export_one(project, environment, spec)
    assert not list((project / "build").rglob("net.json"))
    return str(caught.value)


# --- the child's fate ----------------------------------------------------------------------------------------------


def test_a_model_from_its_factory(project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    file = export_one(project, environment, model(seed=7))
    assert read_archive(file).format_version == 6
    text = capsys.readouterr().out
    assert "seed 7\nfactory called\n" in text
    assert "-- model net: scripted by torch 2.13.0+cpu\n" in text
    assert "def forward" not in text


def test_a_factory_may_print_a_name_that_is_no_text(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    export_one(project, environment, model("writes_a_name"))
    assert "caf\\udce9\n" in capsys.readouterr().out


@pytest.mark.parametrize(("own", "torchs"), [(None, "passive"), ("active", "active")])
def test_torchs_threads_leave_the_cores_to_others(
    project: Path,
    environment: Environment,
    capsys: pytest.CaptureFixture[str],
    own: Optional[str],
    torchs: str,
) -> None:
    telling = "import os\nprint(\"torch's threads wait:\", os.environ.get('OMP_WAIT_POLICY'))\n"
    write(environment.python.site_packages[0] / "torch/__init__.py", STAND_IN_TORCH + telling)
    changes = {} if own is None else {"OMP_WAIT_POLICY": own}
    export_one(project, environment.with_variables(**changes), model("tells_how_threads_wait"))
    text = capsys.readouterr().out
    assert f"torch's threads wait: {torchs}\n" in text
    assert f"the factory's threads wait: {own}\n" in text


@pytest.mark.parametrize(("changes", "seed"), [({}, "0"), ({"PYTHONHASHSEED": "random"}, "random")])
def test_sets_have_one_order(
    project: Path,
    environment: Environment,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    seed: str,
) -> None:
    export_one(project, environment.with_variables(**changes), model("tells_its_seed"))
    assert f"hash seed {seed}\n" in capsys.readouterr().out


def test_the_code_is_shown_where_asked(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    export_one(project, environment, model(show_code=True))
    assert "def forward(self): pass\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("factory", "printed", "message"),
    [
        (
            "raises",
            "ValueError: the lamp is out",
            "factory demo.model:raises failed: ValueError: the lamp is out (demo/model.py:6)",
        ),
        ("leaves", "SystemExit: 0", "factory demo.model:leaves failed: SystemExit: 0 (demo/model.py:7)"),
        (
            "leaves_hard",
            "",
            "calling factory demo.model:leaves_hard: the process ended by itself (exit code 0)",
        ),
        ("is_killed", "", "calling factory demo.model:is_killed: the process was killed by signal 9"),
        (
            "returns_a_list",
            "",
            (
                "factory demo.model:returns_a_list gave something else: TypeError: it returned list, "
                "not a torch.nn.Module or a function"
            ),
        ),
        (
            "imports_missing",
            "No module named 'no_such_thing'",
            (
                "factory demo.model:imports_missing failed: ModuleNotFoundError: No module named 'no_such_thing' "
                "(demo/model.py:11)"
            ),
        ),
        (
            "missing",
            "",
            (
                "factory demo.model:missing cannot be imported: AttributeError: module 'demo.model' has no attribute "
                "'missing'; did you mean imports_missing?"
            ),
        ),
        (
            "xyz",
            "",
            (
                "factory demo.model:xyz cannot be imported: AttributeError: module 'demo.model' has no attribute "
                "'xyz'; demo.model has good, imports_generated, imports_missing, is_killed, leaves, leaves_hard, "
                "raises, returns_a_list"
            ),
        ),
    ],
)
def test_a_factory_that_fails(
    project: Path,
    environment: Environment,
    capsys: pytest.CaptureFixture[str],
    factory: str,
    printed: str,
    message: str,
) -> None:
    text = failure(project, environment, model(factory))
    assert text == f"model 'net': {message}"
    out = capsys.readouterr().out
    assert printed in out
    assert "models/child" not in out.split("\n", 1)[1]  # none of our frames; the command is the first line


def test_a_factory_whose_module_is_not_there(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    text = failure(project, environment, ScriptModel(name="net", factory="demo.modle:good"))
    assert text.endswith(
        "factory demo.modle:good cannot be imported: ModuleNotFoundError: No module named 'demo.modle'; did you mean "
        "model?"
    )


def test_a_factory_without_its_package(project: Path, environment: Environment) -> None:
    text = failure(project, environment, ScriptModel(name="net", factory="model:good"))
    assert text.endswith("ModuleNotFoundError: No module named 'model'; did you mean demo.model:good?")


def test_an_input_file_that_is_not_there(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    text = failure(project, environment, model(method="trace", example_inputs=("in.npy",)))
    assert text == (
        "model 'net': its example inputs cannot be made: FileNotFoundError: there is no file in.npy; it is looked for "
        "from the project's folder on"
    )
    assert "Traceback" not in capsys.readouterr().out


def test_no_torch(project: Path, environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "site/torch/__init__.py").unlink()
    (tmp_path / "site/torch").rmdir()
    text = failure(project, environment, model())
    assert f"model 'net' needs torch in Python (factory demo.model:good), and {tmp_path}/python has none" in text
    assert "pip install 'torch==2.13.0'" in text
    assert "give its file instead of a factory" in text


def test_another_torch_is_a_warning(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(project, model(), libtorch=linux_torch(layout="archive", version="2.6.0"))
    prepare_models(plan, environment, names=["net"], libraries={})
    err = capsys.readouterr().err
    assert "warning: model net: made by torch 2.13.0+cpu, the app links libtorch 2.6.0+cpu\n" in err


def test_modules_that_the_build_generates_can_be_imported(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = ProjectSpec(
        models=(dataclasses.replace(model("imports_generated"), python_path=(".",)),),
        ops=(OpLibrary(name="o", package="demo", sources=("o.cpp",)),),
    )
    libtorch = linux_torch(layout="archive")
    plan = make_plan(spec, root=project, build_base=project / "build", libtorch=libtorch)
    write(plan.out_dir / "demo/_torchscript_ops.py", "WORD = 'hello'\n")
    prepare_models(plan, environment, names=["net"], libraries={})
    assert "generated says hello" in capsys.readouterr().out
    assert not (project / "demo/_torchscript_ops.py").exists()


# --- only when something changed -----------------------------------------------------------------------------------


def was_called(capsys: pytest.CaptureFixture[str]) -> bool:
    return "factory called" in capsys.readouterr().out


def test_a_second_run_does_not_start_the_child(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    file = export_one(project, environment, model())
    stamp = file.stat().st_mtime_ns
    capsys.readouterr()
    export_one(project, environment, model())
    assert capsys.readouterr().out == ""
    assert file.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("name", ["model.py", "helper.py", "__init__.py"])
def test_a_change_of_an_imported_source_makes_the_model_again(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    export_one(project, environment, model())
    with (project / "demo" / name).open("a") as file:
        file.write("# changed\n")
    capsys.readouterr()
    export_one(project, environment, model())
    assert was_called(capsys)


def test_a_change_of_another_source_does_not(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    export_one(project, environment, model())
    write(project / "demo/other.py", "# new\n")
    capsys.readouterr()
    export_one(project, environment, model())
    assert not was_called(capsys)


def test_a_model_that_is_gone_or_changed_is_made_again(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    file = export_one(project, environment, model())
    file.unlink()
    capsys.readouterr()
    export_one(project, environment, model())
    assert was_called(capsys)
    file.write_bytes(b"damaged")
    export_one(project, environment, model())
    assert was_called(capsys)
    assert zipfile.is_zipfile(file)


def test_a_change_of_the_request_makes_the_model_again(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    export_one(project, environment, model())
    capsys.readouterr()
    export_one(project, environment, model(seed=1))
    assert was_called(capsys)


def test_a_failure_is_not_remembered_as_done(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    export_one(project, environment, model())
    write(project / "demo/helper.py", "raise ValueError\n")
    failure(project, environment, model())
    failure(project, environment, model())
    write(project / "demo/helper.py")
    capsys.readouterr()
    export_one(project, environment, model())
    assert was_called(capsys)


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_a_damaged_record_is_none(
    project: Path, environment: Environment, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = export_one(project, environment, model())
    file.with_suffix(".json").write_text(text)
    capsys.readouterr()
    export_one(project, environment, model())
    assert was_called(capsys)


def test_only_the_models_that_are_needed(project: Path, environment: Environment) -> None:
    other = dataclasses.replace(model("raises"), name="other")
    prepare_models(plan_of(project, model(), other), environment, names=["net"], libraries={})


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_file_is_checked_and_not_copied(project: Path, environment: Environment) -> None:
    write(project / "net.pt", "not a model")
    with pytest.raises(ModelError, match=r"net\.pt is not a TorchScript archive"):
        export_one(project, environment, ScriptModel(name="net", file="net.pt"))


def make_archive(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("version", "constants.pkl", "data.pkl"):
            archive.writestr(f"net/{name}", "6")
    return path


def test_a_file_of_an_installed_package(project: Path, environment: Environment, tmp_path: Path) -> None:
    source = make_archive(tmp_path / "site/some/pkg/data/net.pt")
    file = export_one(project, environment, ScriptModel(name="net", file="some.pkg:data/net.pt"))
    assert file.read_bytes() == source.read_bytes()
    assert file.is_relative_to(project / "build")


def test_a_file_that_no_package_has(environment: Environment, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        locate_package_file("some:net.pt", environment)
    text = str(caught.value)
    assert "there is no file 'net.pt' of a Python package 'some'" in text
    assert f"{tmp_path}/site  not there" in text
    assert "install the package that holds it" in text


# --- with torch ----------------------------------------------------------------------------------------------------

TORCH_FACTORIES = """\
import torch
class Scale(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.rand(1))
        self.drop = torch.nn.Dropout(0.5)
    def forward(self, x):
        return self.drop(x * self.factor)
class Twice(Scale):
    def forward(self, x):
        return self.drop(x * 2)
    @torch.jit.export
    def quarter(self, x):
        return x / 4
def plain(): return Scale()
def scripted(): return torch.jit.script(Twice())
def inputs(): return (torch.full((2,), 3.0),)
"""


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_traced_and_taken_as_it_is(
    tmp_path: Path, machine: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    write(tmp_path / "factories.py", TORCH_FACTORIES)
    models = (
        ScriptModel(name="script", factory="factories:plain", example_inputs=("ones:2",), seed=3),
        ScriptModel(
            name="trace", factory="factories:plain", method="trace", example_inputs=("factories:inputs",), seed=3
        ),
        ScriptModel(name="as_is", factory="factories:scripted", example_inputs=("ones:2",)),
    )
    plan = plan_of(tmp_path, *models)
    names = [m.name for m in models]
    wanted = {name: Wanted(("forward", "quarter") if name == "as_is" else ("forward",), 0.0, 0.0) for name in names}

    def prepare() -> dict[tuple[str, str], Case]:
        made = prepare_models(plan, machine, names=names, libraries={})
        found = prepare_references(plan, machine, wanted, made, read_archives(plan, names))
        return {(c.model, c.method): c for r in found.values() for c in r.cases}

    made = prepare()
    text = capsys.readouterr().out
    for words in (
        "model script: scripted by",
        "model trace: traced by",
        "model as_is: saved as the factory made it by",
    ):
        assert words in text
    assert text.count("torch.jit is deprecated upstream, libtorch still loads what it makes") == 3
    assert "DeprecationWarning" not in text
    assert sorted(made) == [("as_is", "forward"), ("as_is", "quarter"), ("script", "forward"), ("trace", "forward")]
    expected = {key: torch.load(r.expected, weights_only=True) for key, r in made.items()}
    arguments = {key: torch.load(r.arguments, weights_only=True) for key, r in made.items()}
    torch.manual_seed(3)
    factor = torch.rand(1)
    assert torch.equal(expected["script", "forward"], torch.ones(2) * factor)
    assert torch.equal(expected["trace", "forward"], torch.full((2,), 3.0) * factor)
    assert torch.equal(expected["as_is", "quarter"], torch.full((2,), 0.25))
    assert torch.equal(expected["as_is", "forward"], torch.full((2,), 2.0))
    assert torch.equal(arguments["trace", "forward"][0], torch.full((2,), 3.0))
    assert "aten::mul" in str(torch.jit.load(plan.model("trace").file).graph)
    prepare()
    assert capsys.readouterr().out == ""


# --- the grammar of example inputs, in this process ----------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("int:3", 3),
        ("float:3", 3.0),
        ("str:a:b", "a:b"),
        ("bool:true", True),
        ("bool:0", False),
        ("true", True),
        ("none", None),
        ("ints:1,2", [1, 2]),
        ("floats:1,2.5", [1.0, 2.5]),
        ("ints:", []),
        ("7", 7),
        ("7.5", 7.5),
    ],
)
def test_plain_example_inputs(spec: str, expected: object) -> None:
    import torch

    from torchscript_build.models.child.inputs import parse_input

    found = parse_input(torch, spec, "")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.torch
def test_tensors_as_example_inputs(tmp_path: Path) -> None:
    import numpy
    import torch

    from torchscript_build.models.child.inputs import parse_input

    assert torch.equal(parse_input(torch, "ones:2x3", ""), torch.ones(2, 3))
    assert parse_input(torch, "zeros:2:int64", "").dtype == torch.int64
    assert torch.equal(parse_input(torch, "arange:2x2", ""), torch.tensor([[0.0, 1.0], [2.0, 3.0]]))
    assert parse_input(torch, "rand:", "").shape == ()
    numpy.save(tmp_path / "a.npy", numpy.arange(3))
    torch.save(torch.arange(2), tmp_path / "b.pt")
    assert parse_input(torch, "a.npy", str(tmp_path)).tolist() == [0, 1, 2]
    assert parse_input(torch, "file:b.pt", str(tmp_path)).tolist() == [0, 1]


def test_an_example_input_that_means_nothing() -> None:
    from torchscript_build.models.child.inputs import parse_input

    with pytest.raises(ValueError, match="'lamp' is neither a spec"):
        parse_input(None, "lamp", "")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("a.b:c", True), ("a:b.c", True), ("ones:2", False), ("int:x", False), ("a.npy", False), ("file:x", False)],
)
def test_functions_among_example_inputs(spec: str, expected: bool) -> None:
    from torchscript_build.models.child.inputs import is_function

    assert is_function(spec) is expected


def test_the_child_imports_nothing_of_ours() -> None:
    for source in jobs.CHILD.parent.glob("*.py"):
        assert "torchscript_build" not in source.read_text(encoding="utf-8")
