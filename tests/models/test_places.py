"""A model that was exported says nothing of the machine's folders, and is the same wherever it was made."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
from children import run_python
from nobodys_machine import linux_torch, make_plan
from support import write

from torchscript_build.models.child import places
from torchscript_build.models.export import prepare_models
from torchscript_build.settings.specs import ProjectSpec, ScriptModel
from torchscript_build.system import Environment

SITE = "/tmp/pip-build-env-x1/overlay/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("/home/me/project/demo/net.py", "demo/net.py"),
        (
            f"/home/me/project/demo/net.py(3): forward\n{SITE}/torch/nn/m.py(7): _call\n/x/y/z.py(1): <module>\n",
            "demo/net.py(3): forward\ntorch/nn/m.py(7): _call\nz.py(1): <module>\n",
        ),
        ("        return x / y\n", "        return x / y\n"),
        ("", ""),
        ("/home/me/project", "/home/me/project"),
        ("/elsewhere/a b/c.py", "c.py"),
    ],
)
def test_paths_begin_below_the_folders_that_are_known(text: str, short: str) -> None:
    prefixes = places.known_prefixes(["/home/me/project", SITE, "", "/"])
    assert places.shorten(text, prefixes) == short


def test_only_strings_of_a_pickle_change() -> None:
    value = ("/a/b.py", [1, 2.5, None, ("ü/a/", {"k": b"x"})], "/a/b.py", 10**20)
    changed = places.replace_strings(pickle.dumps(value, 2), lambda text: text.replace("/a/", "longer than before"))
    assert pickle.loads(changed) == (
        "longer than beforeb.py",
        [1, 2.5, None, ("ülonger than before", {"k": b"x"})],
        "longer than beforeb.py",
        10**20,
    )
    same = pickle.dumps(value, 2)
    assert places.replace_strings(same, lambda text: text) == same


def saved(folder: Path, path: str) -> Path:
    """An archive as torch writes it, whose debug record names a path."""
    file = folder / "m.pt"
    folder.mkdir()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("m/data/0", bytes(100))
        archive.writestr("m/code/x.py", "x = 1\n" * 100, zipfile.ZIP_DEFLATED)
        archive.writestr("m/code/x.py.debug_pkl", pickle.dumps((path, 1), 2), zipfile.ZIP_DEFLATED)
        archive.writestr("m/constants/0", b"12345678")
        archive.writestr("m/.data/serialization_id", (path * 40)[:40])
    return file


def test_the_rest_of_an_archive_stays_and_is_aligned(tmp_path: Path) -> None:
    files = [saved(tmp_path / name, f"{tmp_path}/{name}/net.py") for name in ("a", "longer")]
    for file in files:
        places.forget(str(file), [str(file.parent)])
        assert [p.name for p in file.parent.iterdir()] == ["m.pt"]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert str(tmp_path).encode() not in files[0].read_bytes()
    with zipfile.ZipFile(files[0]) as archive:
        assert archive.testzip() is None
        assert archive.read("m/data/0") == bytes(100)
        assert archive.read("m/code/x.py") == b"x = 1\n" * 100
        assert pickle.loads(archive.read("m/code/x.py.debug_pkl")) == ("net.py", 1)
        number = archive.read("m/.data/serialization_id")
        assert len(number) == 40
        assert number.isdigit()
        for member in archive.infolist()[2:]:  # those before the first that changes stay as they are
            at = member.header_offset
            name, extra = struct.unpack("<HH", files[0].read_bytes()[at + 26 : at + 30])
            assert (at + 30 + name + extra) % 64 == 0


def test_a_traceback_goes(tmp_path: Path) -> None:
    file = saved(tmp_path / "a", f"{tmp_path}/a/net.py(3): forward\n")
    places.forget(str(file), [str(tmp_path / "a")])
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["m/data/0", "m/code/x.py", "m/constants/0", "m/.data/serialization_id"]


def test_a_model_that_names_no_place_is_not_touched(tmp_path: Path) -> None:
    file = saved(tmp_path / "a", "<string>")
    before = file.read_bytes()
    places.forget(str(file), [str(tmp_path)])
    assert file.read_bytes() == before


FACTORY = """\
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
    def forward(self, x):
        return self.layer(x).view(7, 7)

class Plain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
    def forward(self, x):
        return self.layer(x) + torch.ones(2)

def net():
    return Net()

def plain():
    return Plain()
"""
TELL = """\
import sys, torch
model = torch.jit.load(sys.argv[1])
try:
    model(torch.ones(1, 3))
except Exception as error:
    print(error)
"""


@pytest.mark.torch
@pytest.mark.slow
def test_the_same_model_in_two_folders(tmp_path: Path, machine: Environment) -> None:
    made = {}
    for name in ("a", "another/deeper"):
        root = tmp_path / name
        write(root / "factories.py", FACTORY)
        models = (
            ScriptModel(name="net", factory="factories:net", python_path=(".",), seed=7),
            ScriptModel(
                name="plain",
                factory="factories:plain",
                python_path=(".",),
                seed=7,
                method="trace",
                example_inputs=("ones:1x3",),
            ),
        )
        plan = make_plan(
            ProjectSpec(models=models), root=root, build_base=root / "build", libtorch=linux_torch(layout="archive")
        )
        prepare_models(plan, machine, names=["net", "plain"], libraries={})
        made[name] = [Path(plan.model(m).file) for m in ("net", "plain")]
    for one, other in zip(*made.values()):
        assert one.read_bytes() == other.read_bytes()
        with zipfile.ZipFile(one) as archive:
            everything = b"".join(archive.read(name) for name in archive.namelist())
        for folder in (str(tmp_path), str(Path(torch_file()).parents[1])):
            assert folder.encode() not in everything
    said = run_python("-W", "ignore", "-c", TELL, str(made["a"][0]), cwd=tmp_path, variables=os.environ).stdout
    assert 'File "factories.py", line 8, in forward' in said
    assert "return self.layer(x).view(7, 7)" in said


def torch_file() -> str:
    import torch

    return str(torch.__file__)
