"""Every test is in one of three: the quick tier, the slow tier, or what is run by hand; every room has its tests."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
from tiers import BY_HAND, COLLECTED

ROOT = Path(__file__).parents[2]


def test_no_test_is_in_two_tiers(request: pytest.FixtureRequest) -> None:
    """With the expressions below, ``slow`` and no marker by hand; none of both; or a marker by hand."""
    both = [
        item.nodeid
        for item in request.config.stash[COLLECTED]
        if item.get_closest_marker("slow") and any(item.get_closest_marker(name) for name in BY_HAND)
    ]
    assert both == []


def test_the_quick_tier_is_the_default(request: pytest.FixtureRequest) -> None:
    options = request.config.getini("addopts")
    assert options[options.index("-m") + 1] == " and ".join(f"not {name}" for name in ("slow", *BY_HAND))


def test_ci_runs_both_tiers() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    (command,) = re.findall(r"^check (python -m pytest .*)$", script, re.MULTILINE)
    words = shlex.split(command)
    assert words[words.index("-m", 3) + 1] == "slow"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quick = readme.split("<!-- test-command -->")[1].split("<!-- end -->")[0]
    assert quick.endswith(" && python -m pytest -n 2 --dist loadfile\n```\n")


def test_every_room_has_a_folder_of_tests() -> None:
    """The modules beside the rooms are the ground."""
    rooms = {init.parent.name for init in (ROOT / "torchscript_build").glob("*/__init__.py")}
    assert rooms
    missing = [room for room in sorted({*rooms, "ground"}) if not list((ROOT / "tests" / room).glob("test_*.py"))]
    assert missing == []


STARTS_CHILDREN = {"children.py", "rattler_child.py", "shapes.py", "test_leftovers.py", "test_signals.py"}
"""Where subprocess itself may be used, beside the programs that are no tests."""


def test_children_have_a_process_group_of_their_own() -> None:
    found = []
    for file in sorted((ROOT / "tests").glob("*/*.py")):
        is_program = file.parent.name in ("benchmarks", "faults") and not file.name.startswith("test_")
        if file.name not in STARTS_CHILDREN and not is_program:
            calls = re.findall(r"subprocess\.(?:run|call|check_\w+|Popen)\(.*", file.read_text(encoding="utf-8"))
            found += [f"{file.name}: {call}" for call in calls]
    assert found == [], "children.run_child and children.started do the same, and leave nothing behind"


def test_no_two_modules_of_tests_have_one_name() -> None:
    """pytest imports them by that name, and collects the first only."""
    names = Counter(file.name for file in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
