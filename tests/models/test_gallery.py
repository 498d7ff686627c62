"""The gallery: sixty small models, exported, built into apps that share the compiled runner, compared three ways."""

from __future__ import annotations

import json
import re

import pytest
from children import run_child
from gallery_project import OLD_FORMATS, OTHER_FORMATS, Built, build, entries

from torchscript_build.models.archive import read_archive

pytestmark = [pytest.mark.compile, pytest.mark.torch, pytest.mark.slow, pytest.mark.timeout(3600)]


def test_every_model_agrees_three_ways_for_every_set_of_inputs(built: Built) -> None:
    rows = built.rows
    for entry in entries():
        count = len(list(entry.sets()))
        for number in range(1, count + 1):
            exported, native = rows[entry.__name__, entry.calls or "forward", f"check {number}"]
            assert (exported != "-") == entry.original, (entry.__name__, exported)
            assert float(native) <= 1e-4, (entry.__name__, native)


def test_every_file_format_is_there(built: Built) -> None:
    formats = {e.__name__: read_archive(built.file(f"models/{e.__name__}.pt")).format_version for e in entries()}
    assert formats == {e.__name__: e.format for e in entries()}
    assert set(formats.values()) == {3, 4, 5, 8, 9, 10}
    for version in OTHER_FORMATS:
        assert read_archive(built.project / f"format_{version}.pt").format_version == version
        assert float(built.rows[f"format_{version}", "forward", "example"][1]) == 0


@pytest.mark.parametrize("version", OLD_FORMATS)
def test_an_old_file_keeps_its_meaning(built: Built, version: int) -> None:
    """Division of whole numbers, and full() of one, give whole numbers and floats, as they did then."""
    (program,) = built.project.glob(f"build/torchscript/*/tree/out/**/bin/app_{version}")
    command = [program, "--input", "ones:2x4", "--input", "int:5", "--json"]
    done = run_child(command, capture_output=True, encoding="utf-8")
    _, halves, filled, *_ = json.loads(done.stdout)["output"]["items"]
    assert (halves["dtype"], halves["values"]) == ("int64", [0, 0, 1, 1, 2])
    assert (filled["dtype"], filled["values"]) == ("float32", [3, 3])


def test_what_a_factory_did_to_its_process_is_told(built: Built) -> None:
    told = re.findall(
        r"^-- model (\w+): its factory changes the (.*?) of the process from (\w+) to (\w+)", built.output, re.M
    )
    assert ("doubles", "default dtype", "float32", "float64") in told
    assert [(m, what, to) for m, what, _, to in told if m == "qnnpack"] == [("qnnpack", "quantized engine", "qnnpack")]
    assert {m for m, what, *_ in told if what == "default dtype"} == {"doubles"}
    assert [what for m, what, *_ in told if m == "tiny"] == ["deterministic algorithms", "flush-denormal", "threads"]


def test_a_second_build_does_nothing_of_it_again(built: Built) -> None:
    again = build(built.project, built.variables)
    for words in ("/child/__main__.py", "-- compare", "largest differences", "is made again"):
        assert words not in again.output


def test_the_programs_run_where_the_log_says_that_they_are(built: Built) -> None:
    (program,) = re.findall(r"^ {5}(\S*/forces)$", built.output, re.M)
    command = [built.project / program, "--input", "ones:2x3"]
    done = run_child(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
