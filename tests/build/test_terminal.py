"""A whole build in a terminal of 100 columns: what runs now, compilers in colours, errors that fit."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from children import run_python
from small_projects import ANSWER_APP, ANSWER_CPP, write_project
from support import write
from terminal import in_terminal, left_over, terminal_variables, widest

pytestmark = pytest.mark.compile
WARNED = "static int unused_and_named_at_length_so_that_this_line_of_the_warning_does_not_fit_into_it() { return 1; }\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", ANSWER_APP, files={"answer.cpp": ANSWER_CPP})


def build(project: Path, variables: dict[str, str], *arguments: str, **more: str) -> tuple[int, str]:
    command = [sys.executable, "setup.py", "build_ts_app", *arguments]
    return in_terminal(command, project, terminal_variables(variables, **more))


def test_what_runs_now_and_at_the_end_what_there_is(project: Path, variables: dict[str, str]) -> None:
    code, sent = build(project, variables, "--run")
    assert code == 0, sent
    moving = re.findall(r"\r\x1b\[K(\w[^\r\x1b]*?) … \d+ s", sent)
    begun = [text for before, text in zip(["", *moving], moving) if text != before]
    assert begun == [
        "finding libtorch and the tools",
        "checking the models",
        "configuring",
        "building",
        "compiling [1/2] answer.cpp",
        "linking [2/2] answer",
        "installing apps",
        "verifying apps",
        "staging",
        "running answer",
    ]
    *_, said, path, end = left_over(sent)
    assert re.fullmatch(r"-- done in \d+\.\d s: program answer", said)
    assert re.fullmatch(r" {5}build/torchscript/\S+/answer", path)
    assert (project / path.strip()).is_file()
    assert end == ""


def test_all_sources_that_are_compiled_at_once_are_named(project: Path, variables: dict[str, str]) -> None:
    parts = {f"part_{number}.cpp": f"int part_{number}() {{ return {number}; }}\n" for number in range(3)}
    for name, text in parts.items():
        write(project / name, text)
    settings = project / "pyproject.toml"
    sources = ", ".join(f'"{name}"' for name in ("answer.cpp", *parts))
    write(settings, settings.read_text().replace('["answer.cpp"]', f"[{sources}]"))
    code, sent = build(project, variables, "--jobs", "2", NINJA_STATUS="%p of the user's ")
    assert code == 0, sent
    first = re.search(r"\r\x1b\[K(compiling \[1/5\] \S[^\r\x1b]*?) … \d+ s", sent)
    assert first
    assert re.fullmatch(r"compiling \[1/5\] (answer|part_\d)\.cpp, (answer|part_\d)\.cpp", first[1])
    assert re.search(r"compiling \[4/5\] \w+\.cpp … ", sent)


def test_a_compiler_keeps_its_colours_and_the_error_is_told_once(project: Path, variables: dict[str, str]) -> None:
    write(
        project / "answer.cpp",
        ANSWER_CPP.replace(
            "torch::answer()", "torch::anwser(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)"
        ),
    )
    code, sent = build(project, variables)
    assert code == 1
    plain = re.sub(r"\x1b\[[\d;]*[mK]", "", sent)
    assert len(re.findall("error: .anwser. is not a member of .torch.", plain)) == 1
    assert re.search(r"\x1b\[[\d;]+m\x1b\[Kerror: ", sent), "GCC's red"
    assert "\n  answer.cpp:4:" in plain.replace("\r", ""), "relative to the project"
    assert "-MMD" not in plain, "a command line"
    assert widest(sent) <= 100


def test_a_warning_keeps_its_colours_and_is_folded(project: Path, variables: dict[str, str]) -> None:
    write(project / "answer.cpp", WARNED + ANSWER_CPP)
    code, sent = build(project, variables, CXXFLAGS="-Wall")
    assert code == 0, sent
    assert re.search(r"\x1b\[[\d;]+m\x1b\[Kwarning: ", sent), "GCC's magenta"
    assert widest(sent) <= 100


@pytest.mark.parametrize(
    "more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"CI": "true"}], ids=lambda more: next(iter(more))
)
def test_who_wants_no_colours_gets_none(more: dict[str, str], project: Path, variables: dict[str, str]) -> None:
    write(project / "answer.cpp", ANSWER_CPP.replace("torch::answer()", "torch::anwser()"))
    code, sent = build(project, variables, **more)
    assert code == 1
    assert "\x1b" not in sent
    assert re.search("error: .anwser. is not a member of .torch.", sent)


def test_nothing_is_compiled_again_in_a_log(project: Path, variables: dict[str, str]) -> None:
    assert build(project, variables)[0] == 0
    done = run_python("setup.py", "build_ts_app", cwd=project, variables=variables)
    assert "ninja: no work to do." in done.stdout
    assert "configure" not in done.stdout
    assert "\x1b" not in done.stdout


def test_a_log_has_no_colours(project: Path, variables: dict[str, str]) -> None:
    write(project / "answer.cpp", ANSWER_CPP.replace("torch::answer()", "torch::anwser()"))
    for generator in ("Ninja", "Unix Makefiles"):
        done = run_python("setup.py", "build_ts_app", "--generator", generator, cwd=project, variables=variables)
        assert done.returncode == 1
        assert "\x1b" not in done.stdout + done.stderr, generator
