"""The gallery, exported by this torch, run by runners of older and newer releases; by hand: ``pytest -m network``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import clean_variables, run_child, run_python
from gallery_project import OTHER_FORMATS, Built, build, entries
from small_projects import write_project

from torchscript_build.models.compare import process_options
from torchscript_build.plan.build_plan import Wishes

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.torch, pytest.mark.timeout(3600)]

OTHERWISE: dict[str, dict[str, tuple[int, str]]] = {
    "1.13.1": {
        "attention": (3, "unknown operator aten::scaled_dot_product_attention (libtorch 1.13.1 does not have it)"),
        "causal": (3, "unknown operator aten::scaled_dot_product_attention (libtorch 1.13.1 does not have it)"),
        "half": (1, "forward() failed: \"addmm_impl_cpu_\" not implemented for 'Half'"),
        "spectrum": (3, "operator aten::stft takes other arguments in libtorch 1.13.1 than the model gives it"),
        "unet": (3, "unknown operator aten::_upsample_lanczos2d_aa (libtorch 1.13.1 does not have it)"),
    },
    "2.6.0": {
        "noise": (5, "outputs differ: output 2 of 4 values differ"),  # random numbers are others in some releases
        "spectrum": (3, "operator aten::stft takes other arguments in libtorch 2.6.0 than the model gives it"),
        "unet": (3, "unknown operator aten::_upsample_lanczos2d_aa (libtorch 2.6.0 does not have it)"),
    },
    "2.14.1": {},
}
"""Release → the models that it cannot run as this torch does: the exit code, and what the program says."""
TOLERANCES = {"bfloat16": "1e-2"}
"""Sums are in another order there."""
APP = """\
[[tool.torchscript-build.model]]
name = "small"
file = "small.pt"

[[tool.torchscript-build.app]]
name = "runner"
models = ["small"]
"""


def build_program(release: str, model: Path, folder: Path) -> Path:
    """The runner for a release, which is fetched."""
    cache = os.environ.get("TORCHSCRIPT_BUILD_TEST_CACHE", os.fspath(folder / "cache"))
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    variables = {**clean_variables(TORCHSCRIPT_BUILD_CACHE_DIR=cache), **pip}
    if not list(Path(cache, "libtorch").glob(f"{release}*")):
        command = ["-m", "torchscript_build", "fetch", release, "--with-cuda-libraries"]
        fetched = run_python(*command, cwd=folder, variables=variables)
        assert fetched.returncode == 0, fetched.stdout + fetched.stderr
    project = write_project(folder / "project", APP)
    project.joinpath("small.pt").write_bytes(model.read_bytes())
    build(project, {**variables, "TORCHSCRIPT_BUILD_LIBTORCH": f"fetched:{release}"})
    (program,) = project.glob("build/torchscript/*/tree/out/demo/bin/runner")
    return program


def calls(built: Built, model: str) -> Iterator[list[str]]:
    """The options of each call of a model that was compared."""
    record = json.loads(built.file(f"models/{model}.references.json").read_text(encoding="utf-8"))
    for call in record["reports"]["reference"]["calls"]:
        wishes = Wishes(**{**record["settings"]["process"], "grad": call["grad"]})
        files = ["--model", record_model(built, model), "--input", f"args:{call['arguments']}"]
        files += ["--expect", call["expected"], "--method", call["method"]]
        tolerance = TOLERANCES.get(model, "1e-4")
        yield [*files, "--rtol", tolerance, "--atol", tolerance, "--seed", "0", *process_options(wishes, Wishes())]


def record_model(built: Built, model: str) -> str:
    file = built.project / f"{model}.pt"
    return str(file if file.is_file() else built.file(f"models/{model}.pt"))


@pytest.mark.parametrize("release", sorted(OTHERWISE))
def test_the_gallery_by_the_runner_of_another_release(release: str, built: Built, tmp_path: Path) -> None:
    program = build_program(release, built.file("models/lstm.pt"), tmp_path)
    names = [entry.__name__ for entry in entries()] + [f"format_{version}" for version in OTHER_FORMATS]
    found = {}
    for model in names:
        for options in calls(built, model):
            done = run_child([str(program), *options], capture_output=True, encoding="utf-8")
            if done.returncode != 0:
                found.setdefault(model, (done.returncode, done.stderr.splitlines()[0]))
    wanted = OTHERWISE[release]
    assert {model: code for model, (code, _) in found.items()} == {model: code for model, (code, _) in wanted.items()}
    assert [model for model, (_, words) in wanted.items() if words not in found[model][1]] == []
